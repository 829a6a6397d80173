"""Canonical JSON (RFC 8785, JCS): one value, one sequence of bytes.

The bytes are what the audit log hashes, so a stranger with any JCS library must get the same ones.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any

import orjson

# RFC 8785 3.2.2.3: numbers are IEEE 754 doubles, which hold every integer up to here exactly.
LARGEST_INTEGER = 2**53 - 1

_LITERALS = {None: "null", True: "true", False: "false"}
_ALIKE = frozenset({str, int, bool, type(None)})
_AS_THE_RFC = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


class NotCanonical(ValueError):
    """The value has no canonical form: a lone surrogate, an unsafe integer, NaN, another type."""


def encode(value: Any) -> bytes:
    """Return the canonical form of a value made of JSON's own types."""
    try:
        if type(value) is dict and _is_plain(value):
            return orjson.dumps(value, option=_AS_THE_RFC)
    except TypeError:
        # It is no JSON: what follows says why.
        pass
    try:
        return _text(value).encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("a string holds a lone surrogate") from error


def _is_plain(value: dict[str, Any]) -> bool:
    """Tell whether orjson, many times as fast, writes the very bytes of RFC 8785.

    It does for strings, safe integers and literals in objects whose names it sorts alike. It
    writes fractions in another way, and things that are no JSON.
    """
    if not "".join(value).isascii():
        return False
    for inner in value.values():
        kind = type(inner)
        if kind is dict:
            if not _is_plain(inner):
                return False
        elif kind not in _ALIKE:
            return False
    return True


def _text(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is dict:
        return _object(value)
    return _rarer_text(value)


def _rarer_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return _LITERALS[value]
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return "[" + ",".join(map(_text, value)) + "]"
    raise NotCanonical(f"{type(value).__name__} is not a JSON type")


def _object(value: Mapping[str, Any]) -> str:
    if not all(isinstance(name, str) for name in value):
        raise NotCanonical("names in an object are strings")
    return (
        "{" + ",".join([f"{encode_basestring(k)}:{_text(value[k])}" for k in _sorted(value)]) + "}"
    )


def _sorted(names: Iterable[str]) -> list[str]:
    # RFC 8785 3.2.3: by UTF-16 code units, which differs from code points only above U+FFFF.
    if all(map(str.isascii, names)):
        return sorted(names)
    return sorted(names, key=lambda name: name.encode("utf-16-be", "surrogatepass"))


def _integer(value: int) -> str:
    if abs(value) > LARGEST_INTEGER:
        raise NotCanonical(f"{value} is beyond what a double holds exactly")
    return str(int(value))


def _double(value: float) -> str:
    """Write a double as ECMAScript's Number::toString does."""
    if not math.isfinite(value):
        raise NotCanonical("NaN and infinity have no JSON form")
    if value == 0:
        return "0"
    digits, exponent = _shortest(abs(value))
    return ("-" if value < 0 else "") + _placed(digits, exponent)


def _shortest(value: float) -> tuple[str, int]:
    """Return the shortest digits that read back as the value, and where the point goes."""
    # repr() already gives the shortest digits; only its notation differs from ECMAScript's.
    mantissa, _, power = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    return digits.rstrip("0"), len(whole) - leading + int(power or 0)


def _placed(digits: str, point: int) -> str:
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"
