"""Potentials in plain Python, compiled by Numba for the C++ step loop. Imported only when such a potential is used."""
