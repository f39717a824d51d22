"""A caller is who its key says, for good: not its place in a list, and nothing that tells the key."""

import hashlib

from orcestator.gateway.admission import Admission, AdmissionPolicy
from orcestator.gateway.caller import Caller
from orcestator.providers.secret import Secret

KEYS = (Secret("first-key-123"), Secret("second-key-456"), Secret("third-key-789"))


def admitted(keys: tuple[Secret, ...], key: Secret) -> Caller:
    """Who somebody with this key is, among callers with those."""
    admission = Admission(AdmissionPolicy(keys))
    return admission.admit({"client": ("203.0.113.9", 1)}, {b"x-api-key": key.reveal().encode()})


def test_it_stays_who_it_is_when_other_keys_come_and_go() -> None:
    assert admitted(KEYS, KEYS[2]) == admitted((KEYS[2], KEYS[0]), KEYS[2]) == Caller.of(KEYS[2])
    assert len({Caller.of(key) for key in KEYS}) == len({Caller.of(key).name for key in KEYS}) == 3


def test_its_words_do_not_tell_the_key() -> None:
    caller = Caller.of(KEYS[0])
    plain = hashlib.sha256(KEYS[0].reveal().encode()).hexdigest()
    assert KEYS[0].reveal() not in "".join(caller)
    assert caller.id not in plain
    assert caller.name.removeprefix("caller-") not in plain
    assert caller.name.removeprefix("caller-") not in caller.id


def test_what_was_kept_for_it_before_an_update_is_still_its_own() -> None:
    """Rows that stand in databases of users: this digest must never change."""
    assert Caller.of(Secret("first-key-123")).id == "b65ec40dad324d24ee8ac3c3399c332e"
