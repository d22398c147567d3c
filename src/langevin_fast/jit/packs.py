"""Packs for Numba: a SIMD vector of particles that behaves like one number.

The same idea as in the C++ kernels (cpp/core/simd.hpp): a potential is written once, for a number, and compiled for a
vector of particles. LLVM need not find out by itself that a loop can be vectorised, hence loops over components cost
nothing special, at any dimension. Every operator is one IEEE operation per lane. Python numbers and array elements that
meet a pack take its precision.

A pack of one lane is a plain number to LLVM. Its comparisons give truth values, so that functions with branches
compile for it; it is a type of its own so that functions and literals mean the same as for a wide pack.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_untracked
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model


class PackType(types.Type):
    """`lanes` numbers of a Numba type: floats, unsigned integers (their bits) or truth values."""

    def __init__(self, element: types.Type, lanes: int) -> None:
        self.element = element
        self.lanes = lanes
        super().__init__(name=f"Pack({element}, {lanes})")

    def can_convert_from(self, typingctx: Any, other: types.Type) -> Conversion | None:
        """Numbers become packs of themselves."""
        return Conversion.promote if _is_number(other) else None

    def unify(self, typingctx: Any, other: types.Type) -> PackType | None:
        """So that ``s = 0.0`` may become a pack in a loop."""
        return self if _is_number(other) else None


class MaskType(PackType):
    """Truth values that a comparison of packs of `real` gave."""

    def __init__(self, real: types.Type, lanes: int) -> None:
        self.real = real
        super().__init__(types.boolean, lanes)
        self.name = f"Mask({real}, {lanes})"


def _is_number(t: types.Type) -> bool:
    return isinstance(t, (types.Integer, types.Float, types.IntegerLiteral, types.Boolean))


@register_model(PackType)
@register_model(MaskType)
class _PackModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: PackType) -> None:
        super().__init__(dmm, fe_type, _llvm_type(fe_type))


def _llvm_element(element: types.Type) -> ir.Type:
    if isinstance(element, types.Boolean):
        return ir.IntType(1)
    if isinstance(element, types.Integer):
        return ir.IntType(element.bitwidth)
    return ir.DoubleType() if element == types.float64 else ir.FloatType()


def _llvm_type(pack: PackType) -> ir.Type:
    element = _llvm_element(pack.element)
    return element if pack.lanes == 1 else ir.VectorType(element, pack.lanes)


def _splat(builder: Any, value: Any, pack: PackType) -> Any:
    if pack.lanes == 1:
        return value
    kind = _llvm_type(pack)
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), pack.lanes), [0] * pack.lanes)
    return builder.shuffle_vector(one, undefined, zeros)


@lower_cast(types.Integer, PackType)
@lower_cast(types.Float, PackType)
@lower_cast(types.Boolean, PackType)
@lower_cast(types.IntegerLiteral, PackType)
def _number_to_pack(context: Any, builder: Any, fromty: Any, toty: PackType, value: Any) -> Any:
    return _splat(builder, context.cast(builder, value, fromty, toty.element), toty)


# --- operators --------------------------------------------------------------------------------------------------------


def pack_of(args: tuple[Any, ...]) -> PackType | None:
    """The pack that all arguments become, or None where that is not their place."""
    packs = {a for a in args if isinstance(a, PackType)}
    if len(packs) != 1 or not all(isinstance(a, PackType) or _is_number(a) for a in args):
        return None
    return packs.pop()


def _is_real(pack: PackType) -> bool:
    return isinstance(pack.element, types.Float)


def _is_mask(pack: PackType) -> bool:
    return isinstance(pack.element, types.Boolean)


def _mask_of(pack: PackType) -> types.Type:
    return types.boolean if pack.lanes == 1 else MaskType(pack.element, pack.lanes)


def _define(function: Callable, allowed: Callable, result: Callable, lower: Callable, n: int) -> None:
    """Teach Numba `function` of n packs."""

    @infer_global(function)
    class Template(AbstractTemplate):
        def generic(self, args: tuple[Any, ...], kws: dict) -> Any:
            if len(args) != n or kws:
                return None
            pack = pack_of(args)
            if pack is None or not allowed(pack):
                return None
            return signature(result(pack), *(pack,) * n)

    @lower_builtin(function, *(PackType,) * n)
    def implementation(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return impl_ret_untracked(context, builder, sig.return_type, lower(builder, sig.args[0], *args))


def _same(pack: PackType) -> PackType:
    return pack


for _function, _inplace, _instruction in (
    (operator.add, operator.iadd, "fadd"),
    (operator.sub, operator.isub, "fsub"),
    (operator.mul, operator.imul, "fmul"),
    (operator.truediv, operator.itruediv, "fdiv"),
):

    def _arithmetic(builder: Any, pack: PackType, a: Any, b: Any, instruction: str = _instruction) -> Any:
        return getattr(builder, instruction if _is_real(pack) else instruction[1:])(a, b)

    def _has_it(pack: PackType, instruction: str = _instruction) -> bool:
        return _is_real(pack) or (not _is_mask(pack) and instruction != "fdiv")

    _define(_function, _has_it, _same, _arithmetic, 2)
    _define(_inplace, _has_it, _same, _arithmetic, 2)

for _function, _instruction in (
    (operator.and_, "and_"),
    (operator.or_, "or_"),
    (operator.xor, "xor"),
    (operator.lshift, "shl"),
    (operator.rshift, "lshr"),
):

    def _bitwise(builder: Any, pack: PackType, a: Any, b: Any, instruction: str = _instruction) -> Any:
        return getattr(builder, instruction)(a, b)

    _define(_function, lambda pack: not _is_real(pack), _same, _bitwise, 2)

for _function, _symbol in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
    (operator.ne, "!="),
):

    def _compare(builder: Any, pack: PackType, a: Any, b: Any, symbol: str = _symbol) -> Any:
        if not _is_real(pack):
            return builder.icmp_unsigned(symbol, a, b)
        # != is the only one that holds for NaN
        return (builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered)(symbol, a, b)

    _define(_function, lambda pack: not _is_mask(pack), _mask_of, _compare, 2)

_define(operator.neg, _is_real, _same, lambda builder, pack, a: builder.fneg(a), 1)
_define(operator.pos, _is_real, _same, lambda builder, pack, a: a, 1)
_define(operator.invert, _is_mask, _same, lambda builder, pack, a: builder.not_(a), 1)


def _call_llvm(builder: Any, name: str, pack: PackType, *args: Any) -> Any:
    kind = _llvm_type(pack)
    width = 64 if pack.element == types.float64 else 32
    suffix = f"f{width}" if pack.lanes == 1 else f"v{pack.lanes}f{width}"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * len(args)), f"llvm.{name}.{suffix}"
    )
    return builder.call(function, args)


# Integer powers are products, by repeated squaring; others are langevin_fast.math.power (lane_functions.py).
_LARGEST_POWER = 64


@infer_global(operator.pow)
@infer_global(operator.ipow)
@infer_global(pow)
class _IntegerPower(AbstractTemplate):
    def generic(self, args: tuple[Any, ...], kws: dict) -> Any:
        if len(args) != 2 or kws:
            return None
        base, exponent = args
        fits = isinstance(exponent, types.IntegerLiteral) and abs(exponent.literal_value) <= _LARGEST_POWER
        if not (isinstance(base, PackType) and _is_real(base) and fits):
            return None
        return signature(base, base, exponent)


@lower_builtin(operator.pow, PackType, types.IntegerLiteral)
@lower_builtin(operator.ipow, PackType, types.IntegerLiteral)
@lower_builtin(pow, PackType, types.IntegerLiteral)
def _integer_power(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    pack, exponent = sig.args
    one = _splat(builder, ir.Constant(_llvm_element(pack.element), 1.0), pack)
    n, square, result = abs(exponent.literal_value), args[0], None
    while n:
        if n & 1:
            result = square if result is None else builder.fmul(result, square)
        n >>= 1
        if n:
            square = builder.fmul(square, square)
    if result is None:
        result = one
    return result if exponent.literal_value >= 0 else builder.fdiv(one, result)


_define(abs, _is_real, _same, lambda builder, pack, a: _call_llvm(builder, "fabs", pack, a), 1)


# --- primitives -------------------------------------------------------------------------------------------------------


@intrinsic
def bits(typingctx: Any, x: Any) -> Any:
    """A pack's bits, as unsigned integers."""
    unsigned = PackType(types.uint64 if x.element == types.float64 else types.uint32, x.lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _llvm_type(unsigned))

    return unsigned(x), codegen


@intrinsic
def real(typingctx: Any, word: Any) -> Any:
    """The pack with these bits."""
    real = PackType(types.float64 if word.element == types.uint64 else types.float32, word.lanes)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _llvm_type(real))

    return real(word), codegen


@intrinsic
def select(typingctx: Any, mask: Any, a: Any, b: Any) -> Any:
    """Lane by lane a where the mask holds, else b."""
    pack = pack_of((a, b))
    if pack is None and isinstance(mask, MaskType) and _is_number(a) and _is_number(b):
        pack = PackType(mask.real, mask.lanes)
    if pack is None:
        return None
    lanes_agree = mask == types.boolean or (isinstance(mask, PackType) and mask.lanes == pack.lanes)
    if not lanes_agree:
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        condition, yes, no = args
        return builder.select(condition, yes, no)

    return pack(mask, pack, pack), codegen


@intrinsic
def sqrt(typingctx: Any, x: Any) -> Any:
    """Square roots."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _call_llvm(builder, "sqrt", x, *args)

    return x(x), codegen


@intrinsic
def take(typingctx: Any, table: Any, index: Any) -> Any:
    """``table[index]`` in every lane, for whole numbers that lie inside the table."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(table)(context, builder, args[0])
        word = ir.IntType(32)
        whole = builder.fptosi(args[1], word if index.lanes == 1 else ir.VectorType(word, index.lanes))
        result = ir.Constant(_llvm_type(index), ir.Undefined)
        for i in range(index.lanes):
            place = whole if index.lanes == 1 else builder.extract_element(whole, ir.Constant(word, i))
            places = [builder.sext(place, context.get_value_type(types.intp))]
            pointer = cgutils.get_item_pointer(context, builder, table, array, places, wraparound=False)
            value = context.unpack_value(builder, table.dtype, pointer)
            value = context.cast(builder, value, table.dtype, index.element)
            result = value if index.lanes == 1 else builder.insert_element(result, value, ir.Constant(word, i))
        return result

    return index(table, index), codegen


@intrinsic
def like(typingctx: Any, x: Any, pack: Any) -> Any:
    """A number as a pack of the other's kind; a pack as it is."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return args[0]

    return pack(pack, pack), codegen


@intrinsic
def pack_of_number(typingctx: Any, x: Any) -> Any:
    """A number as a pack of one lane."""
    pack = PackType(x if isinstance(x, types.Float) else types.float64, 1)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return args[0]

    return pack(pack.element), codegen


@intrinsic
def number_of_pack(typingctx: Any, x: Any) -> Any:
    """The number in a pack of one lane."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return args[0]

    return x.element(x), codegen


@intrinsic
def lane(typingctx: Any, x: Any, index: Any) -> Any:
    """One lane of a pack, as a number."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value, i = args
        return value if x.lanes == 1 else builder.extract_element(value, i)

    return x.element(x, types.int64), codegen


@intrinsic
def with_lane(typingctx: Any, x: Any, index: Any, value: Any) -> Any:
    """The pack with one lane replaced."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pack, i, number = args
        return number if x.lanes == 1 else builder.insert_element(pack, number, i)

    return x(x, types.int64, x.element), codegen


# --- where packs are in memory ----------------------------------------------------------------------------------------


@intrinsic(prefer_literal=True)
def column(typingctx: Any, pointer: Any, offset: Any, pitch: Any, length: Any, lanes: Any) -> Any:
    """An array of packs: element c holds the `lanes` numbers from ``pointer[c * pitch + offset]`` on."""
    n_lanes, n = lanes.literal_value, length.literal_value
    pack = PackType(pointer.dtype, n_lanes)
    # "not aligned": packs lie at multiples of a vector, LLVM would expect multiples of the whole pack
    array = types.Array(pack, 1, "A", aligned=False)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        base, first, step, _, _ = args
        size = context.get_constant(types.intp, pack.element.bitwidth // 8)
        result = context.make_array(array)(context, builder)
        context.populate_array(
            result,
            data=builder.bitcast(builder.gep(base, [first]), result.data.type),
            shape=cgutils.pack_array(builder, [context.get_constant(types.intp, n)]),
            strides=cgutils.pack_array(builder, [builder.mul(step, size)]),
            itemsize=context.get_constant(types.intp, pack.element.bitwidth // 8 * n_lanes),
            meminfo=None,
        )
        return result._getvalue()

    return array(pointer, types.intp, types.intp, length, lanes), codegen


@cache
def room(dim: int) -> Any:
    """What takes the place of :class:`langevin_fast.functions.Room`: `dim` packs on the stack."""

    @intrinsic
    def room(typingctx: Any, g: Any) -> Any:
        pack = g.dtype

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            n, size = (context.get_constant(types.intp, k) for k in (dim, pack.element.bitwidth // 8 * pack.lanes))
            memory = cgutils.alloca_once(builder, _llvm_type(pack), n)
            result = context.make_array(g)(context, builder)
            context.populate_array(
                result,
                data=builder.bitcast(memory, result.data.type),
                shape=cgutils.pack_array(builder, [n]),
                strides=cgutils.pack_array(builder, [size]),
                itemsize=size,
                meminfo=None,
            )
            return result._getvalue()

        return g(g), codegen

    return room
