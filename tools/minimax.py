"""Print the polynomial coefficients of ``cpp/core/math.hpp`` (Remez exchange in 60 digits; needs mpmath).

Each polynomial minimises the largest *relative* error of the function that it serves; the coefficients are then rounded
to the working precision, the leading ones first, refitting the others after each rounding.
"""

from mpmath import mp, mpf

mp.dps = 60


def solve_remez(f, weight, degree, a, b, fixed=()):
    """Coefficients c (ascending) that minimise max |weight(x) (f(x) - sum c_i x^i)| with the first ones fixed."""
    k = len(fixed)
    n = degree + 1 - k
    residual = lambda x: f(x) - sum(c * x**i for i, c in enumerate(fixed))
    nodes = [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n + 2)) for i in range(n + 1)][::-1]
    for _ in range(12):
        m = mp.matrix(n + 1, n + 1)
        r = mp.matrix(n + 1, 1)
        for row, x in enumerate(nodes):
            for j in range(n):
                m[row, j] = x ** (j + k)
            m[row, n] = (-1) ** row / weight(x)
            r[row] = residual(x)
        sol = mp.lu_solve(m, r)
        coefficients = [sol[j] for j in range(n)]
        grid = [a + (b - a) * mpf(i) / 2000 for i in range(2001)]
        values = [weight(x) * (residual(x) - mp.polyval(coefficients[::-1], x) * x**k) for x in grid]
        extrema = []
        for i, v in enumerate(values):
            neighbours = values[max(i - 1, 0) : i] + values[i + 1 : i + 2]
            if all(abs(v) >= abs(w) or w * v < 0 for w in neighbours):
                if extrema and values[extrema[-1]] * v > 0:
                    if abs(v) > abs(values[extrema[-1]]):
                        extrema[-1] = i
                else:
                    extrema.append(i)
        if len(extrema) < n + 1:
            break
        while len(extrema) > n + 1:
            extrema.pop(0 if abs(values[extrema[0]]) < abs(values[extrema[-1]]) else -1)
        nodes = [grid[i] for i in extrema]
    return list(fixed) + coefficients


def round_to(c, bits):
    with mp.workprec(bits):
        return +c


def fit(name, f, weight, degree, a, b, bits):
    rounded = []
    for i in range(degree + 1):
        coefficients = solve_remez(f, weight, degree, a, b, tuple(rounded))
        rounded.append(round_to(coefficients[i], bits))
    grid = [a + (b - a) * mpf(i) / 999 for i in range(1000)]
    worst = max(abs(weight(x) * (f(x) - sum(c * x**i for i, c in enumerate(rounded)))) for x in grid)
    print(f"{name}: degree {degree}, relative error {mp.nstr(worst, 3)} = 2^{mp.nstr(mp.log(worst, 2), 4)}")
    for c in rounded:
        print("   ", float(c).hex(), mp.nstr(c, 17 if bits == 53 else 9))


TINY = mpf(10) ** -20


def sin_ratio(z):  # sin(pi/4 t) / t as a function of z = t^2
    t = mp.sqrt(z + TINY)
    return mp.sin(mp.pi / 4 * t) / t


def cos_ratio(z):  # (cos(pi/4 t) - 1) / z
    z = z + TINY
    return (mp.cos(mp.pi / 4 * mp.sqrt(z)) - 1) / z


def log_ratio(z):  # (2 atanh(s) - 2 s) / s^3 as a function of z = s^2
    s = mp.sqrt(z + TINY)
    return (2 * mp.atanh(s) - 2 * s) / s**3


def log_weight(z):  # relative to 2 atanh(s)
    s = mp.sqrt(z + TINY)
    return s**3 / (2 * mp.atanh(s))


def exp_ratio(r):  # (e^r - 1 - r) / r^2
    if abs(r) < mpf(10) ** -12:
        return mpf(1) / 2 + r / 6
    return (mp.exp(r) - 1 - r) / r**2


def exp_weight(r):  # relative to e^r; the small term keeps Remez's equations regular at 0
    return (r**2 + mpf(10) ** -8) / mp.exp(r)


S_MAX = (mp.sqrt(2) - 1) ** 2 / (mp.sqrt(2) + 1) ** 2
HALF_LN2 = mp.log(2) / 2 * mpf("1.0001")

if __name__ == "__main__":
    for bits, sin_deg, cos_deg, log_deg, exp_deg in ((53, 6, 5, 6, 9), (24, 3, 2, 2, 4)):
        fit(f"sin, {bits} bits", sin_ratio, lambda z: 1 / sin_ratio(z), sin_deg, mpf(0), mpf(1), bits)
        fit(f"cos, {bits} bits", cos_ratio, lambda z: z / (1 + z * cos_ratio(z)), cos_deg, mpf(0), mpf(1), bits)
        fit(f"log, {bits} bits", log_ratio, log_weight, log_deg, mpf(0), S_MAX, bits)
        fit(f"exp, {bits} bits", exp_ratio, exp_weight, exp_deg, -HALF_LN2, HALF_LN2, bits)
