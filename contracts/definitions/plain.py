"""What is wrong in the content of a definition, in plain words: where, and what was expected there."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_EXPECTED: Final = MappingProxyType(
    {
        "missing": "this is missing",
        "extra_forbidden": "there is nothing of this name here; its spelling may be wrong",
        "string_type": "text was expected",
        "string_too_short": "text was expected, and there is none",
        "string_too_long": "at most {max_length} characters were expected",
        "string_pattern_mismatch": "text of the form {pattern} was expected",
        "int_type": "a whole number was expected",
        "int_parsing": "a whole number was expected",
        "int_from_float": "a whole number was expected",
        "bool_type": "true or false was expected",
        "bool_parsing": "true or false was expected",
        "decimal_type": 'a number was expected, such as 3 or "2.5"',
        "decimal_parsing": 'a number was expected, such as 3 or "2.5"',
        "finite_number": 'a number was expected, such as 3 or "2.5"',
        "greater_than": "more than {gt} was expected",
        "greater_than_equal": "at least {ge} was expected",
        "less_than": "less than {lt} was expected",
        "less_than_equal": "at most {le} was expected",
        "too_short": "at least {min_length} was expected here, and there are {actual_length}",
        "too_long": "at most {max_length} were expected here, and there are {actual_length}",
        "tuple_type": "a list was expected",
        "list_type": "a list was expected",
        "dict_type": "names with values in braces were expected",
        "model_type": "names with values in braces were expected",
        "model_attributes_type": "names with values in braces were expected",
        "literal_error": "{expected} was expected",
        "union_tag_invalid": "one of the kinds {expected_tags} was expected",
        "union_tag_not_found": "a kind was expected",
        "value_error": "{error}",
    }
)
_FORMS: Final = MappingProxyType(
    {
        "^[a-z0-9][a-z0-9-]*$": "small letters, digits and - were expected, such as our-policy",
        "^[a-z0-9][a-z0-9_]*$": "small letters, digits and _ were expected, such as item_1",
        "^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*$": "the flag of an instrument was expected, such as odsis/intensity",
        "^individual-[1-9]$": "individual-1 to -9 was expected",
        r"^\S+$": "text without spaces was expected",
    }
)
_SAID_WITHIN: Final = frozenset({"literal_error", "too_short"})
"""Another form was meant, or entries do not count because they are wrong: the fault within says all."""


def in_plain_words(invalid: ValidationError, body: Mapping[str, Any]) -> Mapping[str, str]:
    """Give what was expected at each place of the content that is wrong: path -> words.

    Where content can have several forms, what each of them expects stands together, unless one of them fits so far
    that the fault lies within.
    """
    found: dict[str, list[str]] = {}
    errors = invalid.errors(include_url=False, include_input=False)
    paths = [".".join(_path(error, body)) for error in errors]
    for error, path in zip(errors, paths, strict=True):
        within = any(other.startswith(f"{path}.") for other in paths) if path else False
        if not within or error["type"] not in _SAID_WITHIN:
            found.setdefault(path, []).append(_words(error))
    return {path: ", or ".join(dict.fromkeys(words)) for path, words in found.items()}


def _path(error: ErrorDetails, body: Mapping[str, Any]) -> Iterator[str]:
    """Give the steps to a fault as they stand in the content, without the names of the forms that it was tried as."""
    place: Any = body
    for part in error["loc"]:
        match place:
            case Mapping() if part in place:
                place = place[str(part)]
            case Sequence() if isinstance(part, int) and not isinstance(place, str):
                place = place[part]
            case _ if error["type"] != "missing" or part != error["loc"][-1]:
                continue
        yield str(part)


def _words(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if context.get("pattern") in _FORMS:
        return _FORMS[context["pattern"]]
    words = _EXPECTED.get(error["type"])
    if words is None:
        return error["msg"]
    return words.format(**{name: _unquoted(value) for name, value in context.items()})


def _unquoted(value: object) -> str:
    return str(value).replace("'", "")
