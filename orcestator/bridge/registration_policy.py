"""Who may register a worker, and with what: pure decisions over facts that the controller hands in.

Stock FastChat lets anyone register a worker and receive everyone's prompts (CVE-2026-85695, all versions up to
0.2.36). The three ways a stock worker can show a secret without a change of code are the user part of its
``--controller-address`` or ``~/.netrc`` (both become HTTP Basic, because it posts with ``requests``) and a path
prefix ``/w/SECRET`` in that address. Must never do I/O: no name is resolved and nobody is called from here.
"""

import hmac
import math
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import orjson

from orcestator.errors import InvalidRequest, StartupProblem
from orcestator.json_text import Json
from orcestator.providers.models import MODEL_NAME
from orcestator.routing.planning.dispatch import Report

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SECRET_HEADER = "x-orcestator-worker-secret"
OFFER_KEY = "orcestator"
"""The extra key of ``worker_status`` in which our own workers carry their offer; stock controllers ignore it."""

REPORTS_KEY = "reports"
"""In there, and in the same key of a heart-beat: what the worker reports of its models, by name."""

FASTEST_SPEED = 1000
LONGEST_QUEUE = 1_000_000
MOST_STOCK_MODELS = 256
MOST_PROXY_MODELS = 4096
LARGEST_OFFER_BYTES = 1 << 20
MOST_CALLS = 1_000_000
LONGEST_SECONDS = 86_400

OPEN = "open"
UNPROVEN = "unproven"
SHARED = "shared"
"""Credential ids: none is asked for; none or a wrong one was shown; the secret without a user name."""

_WORKER_NAME = re.compile(r"https?://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})\Z")


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """How strict the controller is.

    ``on_loopback``: it listens on a loopback address only. ``secret``: the worker secret, empty when there is none.
    ``networks``: where an authorised worker's address may lie although it registers from another one (address
    translation, Kubernetes services). ``accepts_anyone``: the operator's ``--insecure-open-registration``.
    """

    on_loopback: bool = True
    secret: str = ""
    networks: tuple[Network, ...] = ()
    accepts_anyone: bool = False


class Presented(NamedTuple):
    """A credential as it came over the wire; both empty when there was none."""

    user: str = ""
    secret: str = ""


class Speaker(NamedTuple):
    """Who speaks: the id of the proven credential and the peer's IP address."""

    credential: str
    peer: str


class WorkerStatus(NamedTuple):
    """A checked ``worker_status``. ``offer`` is opaque and only our own workers have one, and ``reports`` by model name."""

    model_names: tuple[str, ...]
    speed: float
    queue_length: int
    offer: Json | None
    reports: Mapping[str, Report] = MappingProxyType({})


class Registration(NamedTuple):
    """A checked registration. ``status`` is None when the worker asks to be called back for it."""

    worker_name: str
    check_heart_beat: bool
    multimodal: bool
    status: WorkerStatus | None


class HeartBeat(NamedTuple):
    """A checked heart-beat. ``reports`` are those that say something new."""

    worker_name: str
    queue_length: int
    reports: Mapping[str, Report] = MappingProxyType({})


class Decision(NamedTuple):
    """What to do with a registration that is well-formed; ``reason`` is for the audit log."""

    action: Literal["accept", "quarantine"]
    reason: str


def require_safe(policy: RegistrationPolicy) -> None:
    """Raise StartupProblem when the policy would hand prompts to whoever reaches the port."""
    if not (policy.on_loopback or policy.secret or policy.accepts_anyone):
        raise StartupProblem(
            "The controller listens beyond this machine and has no worker secret: set OR_WORKER_SECRET, or bind it to"
            " 127.0.0.1."
        )


def presented_credential(headers: Mapping[str, str], path: str) -> tuple[Presented, str]:
    """The credential of a request and its path without the ``/w/SECRET`` prefix. Header names are in lower case."""
    if path.startswith("/w/"):
        secret, _, rest = path[3:].partition("/")
        return Presented("", secret), "/" + rest
    if secret := headers.get(SECRET_HEADER, ""):
        return Presented("", secret), path
    return _basic(headers.get("authorization", "")), path


def credential_id(policy: RegistrationPolicy, presented: Presented) -> str:
    """Whose credential this is: ``open``, ``unproven``, ``shared`` or ``basic:USER``."""
    if not policy.secret:
        return OPEN
    if not hmac.compare_digest(presented.secret.encode("utf-8", "replace"), policy.secret.encode()):
        return UNPROVEN
    return f"basic:{presented.user}" if presented.user else SHARED


def judge_registration(
    policy: RegistrationPolicy, speaker: Speaker, worker_host: str, resolved: frozenset[str] = frozenset()
) -> Decision:
    """Accept or quarantine. ``resolved`` are the addresses of a host that is a name; empty when not looked up.

    With a secret the worker must show it and register from the address it names (or name one in ``networks``).
    Without one, only a loopback peer that names a loopback address is accepted.
    """
    if policy.accepts_anyone:
        return Decision("accept", "open registration")
    if speaker.credential == UNPROVEN:
        return Decision("quarantine", "no valid worker secret")
    if is_loopback(speaker.peer) and is_loopback(worker_host):
        return Decision("accept", "loopback" if speaker.credential == OPEN else speaker.credential)
    if speaker.credential == OPEN:
        return Decision("quarantine", "not a loopback worker, and no worker secret is set")
    return _proof_of_address(policy, speaker, resolved or frozenset({worker_host}))


def needs_resolving(policy: RegistrationPolicy, speaker: Speaker, worker_host: str) -> bool:
    """Whether the verdict hangs on what the host name resolves to: never for a peer without the secret."""
    proven = speaker.credential not in (OPEN, UNPROVEN)
    return proven and not policy.accepts_anyone and worker_host != "localhost" and _address(worker_host) is None


def may_read(policy: RegistrationPolicy, credential: str) -> bool:
    """Whether the stock reading routes answer: always on loopback, else only with the secret."""
    return policy.on_loopback or policy.accepts_anyone or credential not in (OPEN, UNPROVEN)


def may_list_offers(policy: RegistrationPolicy, credential: str) -> bool:
    """Whether the workers' offers are shown: with the secret where there is one, even on loopback."""
    return credential != UNPROVEN if policy.secret else may_read(policy, credential)


def may_administer(policy: RegistrationPolicy, speaker: Speaker) -> bool:
    """Whether pending workers may be seen, approved and denied: with the secret, or from here if there is none."""
    if policy.secret:
        return speaker.credential != UNPROVEN
    return is_loopback(speaker.peer)


def worker_host(worker_name: str) -> str:
    """The host in a worker's address. Raises InvalidRequest unless it is exactly ``http(s)://host:port``."""
    match = _WORKER_NAME.match(worker_name)
    if match is None or not 0 < int(match[2]) < 65536:
        raise InvalidRequest(
            "worker_name must be http(s)://host:port, without user, path or query.", param="worker_name"
        )
    host = match[1].strip("[]")
    if match[1].startswith("[") and _address(host) is None:
        raise InvalidRequest("worker_name has no valid IPv6 address in its brackets.", param="worker_name")
    return host


def is_loopback(host: str) -> bool:
    """A literal loopback address or ``localhost``. Any other name is foreign, whatever it resolves to."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def same_speaker(one: Speaker, other: Speaker) -> bool:
    """The same credential from the same peer; the loopback addresses of this machine are one peer."""
    if one.credential != other.credential:
        return False
    return one.peer == other.peer or (is_loopback(one.peer) and is_loopback(other.peer))


def read_registration(body: Any) -> Registration:
    """Check a ``/register_worker`` body. Raises InvalidRequest that names the field."""
    body = _object(body, "The registration")
    name = _text(body.get("worker_name"), "worker_name")
    worker_host(name)
    status = body.get("worker_status")
    return Registration(
        worker_name=name,
        check_heart_beat=_flag(body.get("check_heart_beat"), "check_heart_beat"),
        multimodal=_flag(body.get("multimodal") or False, "multimodal"),
        status=read_status(status) if status else None,
    )


def read_status(wire: Any) -> WorkerStatus:
    """Check a worker status. Raises InvalidRequest on silly numbers and names, as they would steer the dispatch."""
    wire = _object(wire, "worker_status")
    offer, reports = _offer(wire.get(OFFER_KEY))
    return WorkerStatus(
        model_names=_model_names(wire.get("model_names"), MOST_STOCK_MODELS if offer is None else MOST_PROXY_MODELS),
        speed=_speed(wire.get("speed")),
        queue_length=_queue_length(wire.get("queue_length")),
        offer=offer,
        reports=reports,
    )


def read_heart_beat(body: Any) -> HeartBeat:
    """Check a ``/receive_heart_beat`` body. Raises InvalidRequest."""
    body = _object(body, "The heart-beat")
    told = _object(body.get(OFFER_KEY) or {}, OFFER_KEY)
    return HeartBeat(
        _text(body.get("worker_name"), "worker_name"),
        _queue_length(body.get("queue_length")),
        _reports(told.get(REPORTS_KEY)),
    )


def _basic(authorization: str) -> Presented:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return Presented()
    try:
        user, _, secret = b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except ValueError:
        return Presented()
    return Presented(user[:128], secret)


def _proof_of_address(policy: RegistrationPolicy, speaker: Speaker, hosts: frozenset[str]) -> Decision:
    addresses = [_address(host) for host in hosts]
    peer = _address(speaker.peer)
    if peer is not None and peer in addresses:
        return Decision("accept", speaker.credential)
    if all(address is not None and _lies_in(address, policy.networks) for address in addresses):
        return Decision("accept", f"{speaker.credential}, allowed network")
    return Decision("quarantine", "the address it names is neither where it calls from nor in an allowed network")


def _lies_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _address(text: str) -> Address | None:
    """An IP literal, an IPv4 address in IPv6 clothes undressed; None for a name."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _object(value: Any, what: str) -> Json:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} must be a JSON object.")
    return value


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 512:
        raise InvalidRequest(f"{field} must be a text of 1 to 512 characters.", param=field)
    return value


def _flag(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"{field} must be true or false.", param=field)
    return value


def _speed(value: Any) -> float:
    if not _is_number(value) or not 0 < value <= FASTEST_SPEED:
        raise InvalidRequest(f"speed must be a number over 0 and at most {FASTEST_SPEED}.", param="speed")
    return float(value)


def _queue_length(value: Any) -> int:
    if not _is_number(value) or not 0 <= value <= LONGEST_QUEUE:
        raise InvalidRequest(f"queue_length must be a number from 0 to {LONGEST_QUEUE}.", param="queue_length")
    return int(value)


def _reports(value: Any) -> Mapping[str, Report]:
    rows = _object(value or {}, REPORTS_KEY)
    _model_names(list(rows), MOST_STOCK_MODELS)
    return {name: _report(row) for name, row in rows.items()}


def _report(value: Any) -> Report:
    row = _object(value, "A report")
    calls = _amount(row, "calls", MOST_CALLS)
    return Report(
        calls=calls,
        successes=_amount(row, "successes", calls),
        seconds=_amount(row, "seconds", LONGEST_SECONDS),
        age=_amount(row, "age", LONGEST_SECONDS),
        is_out=_flag(row.get("is_out"), "is_out"),
    )


def _amount(row: Json, field: str, most: float) -> float:
    value: Any = row.get(field)
    if not _is_number(value) or not 0 <= value <= most:
        raise InvalidRequest(f"{field} of a report must be a number from 0 to {most:g}.", param=field)
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _model_names(value: Any, most: int) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > most:
        raise InvalidRequest(f"model_names must be a list of at most {most} names.", param="model_names")
    for name in value:
        if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
            raise InvalidRequest(
                'A model name has 1 to 128 characters of ASCII without spaces, " < > and \\.', param="model_names"
            )
    return tuple(dict.fromkeys(value))


def _offer(value: Any) -> tuple[Json | None, Mapping[str, Report]]:
    """The offer without its reports, which change too often to be part of what API servers are shown, and those."""
    if value is None:
        return None, {}
    offer = _object(value, f"worker_status.{OFFER_KEY}")
    if len(orjson.dumps(offer)) > LARGEST_OFFER_BYTES:
        raise InvalidRequest("The offer is over 1 MiB.", param=OFFER_KEY)
    kept = {name: part for name, part in offer.items() if name != REPORTS_KEY}
    return kept, _reports(offer.get(REPORTS_KEY))
