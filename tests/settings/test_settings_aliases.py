"""What is said at the start, and by ``check``, of aliases that lead nowhere."""

ON = "providers:\n  own: {base_url: 'https://x.example/v1', models: [m]}\n"


def test_aliases_in_a_circle_and_to_nobody_are_named(loaded):
    found = loaded(yaml=ON + "aliases: {a: b, b: a, c: nowhere/m, d: own/m, own-name: own-name}\n")
    assert found.notices == (
        "aliases.a leads back to itself by way of 'b': name a model there.",
        "aliases.b leads back to itself by way of 'a': name a model there.",
        "aliases.c names 'nowhere/m', and no provider 'nowhere' is on.",
    )
