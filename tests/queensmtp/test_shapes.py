import jsonschema
import pytest

from queensmtp.shapes import AnyNames, Schema, schema_of


def fits(value: object, schema: Schema) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def test_every_field_is_required_unless_it_is_named() -> None:
    schema = schema_of({"a": 1, "b": {"c": "x", "d": "y"}}, optional=("b.d",))
    assert fits({"a": 2, "b": {"c": ""}}, schema)
    assert not fits({"b": {"c": ""}}, schema)
    assert not fits({"a": 2, "b": {"d": ""}}, schema)


def test_a_field_may_be_null_where_the_example_is_or_where_it_is_named() -> None:
    schema = schema_of({"a": None, "b": "x", "c": "y"}, nullable=("b",))
    assert fits({"a": None, "b": None, "c": "y"}, schema)
    assert fits({"a": "text", "b": "x", "c": "y"}, schema)
    assert not fits({"a": None, "b": "x", "c": None}, schema)


def test_items_of_lists_have_paths_of_their_own() -> None:
    schema = schema_of({"data": [{"a": 1, "b": 2}]}, optional=("data[].b",))
    assert fits({"data": [{"a": 1}, {"a": 2, "b": 3}]}, schema)
    assert not fits({"data": [{"b": 1}]}, schema)


def test_a_list_at_the_top_has_paths_too() -> None:
    assert fits([{"a": 1}], schema_of([{"a": 1, "b": 2}], optional=("[].b",)))


@pytest.mark.parametrize(
    ("example", "wrong"), [(True, 1), (1, "1"), (1.5, "x"), ("x", 1), ([1], ["x"]), ({}, [])]
)
def test_kinds_are_told_apart(example: object, wrong: object) -> None:
    assert fits(example, schema_of(example))
    assert not fits(wrong, schema_of(example))


def test_ids_and_times_are_named_as_such() -> None:
    assert schema_of("01997e2c-7d5f-7c31-9d6e-2f1f7a3f9b10")["format"] == "uuid"
    assert schema_of("2026-11-21T22:14:58Z")["format"] == "date-time"
    assert "format" not in schema_of("x")


def test_names_that_the_user_chose_are_no_fields() -> None:
    schema = schema_of({"tags": AnyNames(category="orders")})
    assert fits({"tags": {}}, schema)
    assert fits({"tags": {"other": "x"}}, schema)
    assert not fits({"tags": {"other": 1}}, schema)
