"""One real user of each seam: a rate limit, a budget, a response cache and an anonymiser, as small as they can be and still right."""

import re
from collections.abc import Callable

from orcestator.dialects.canonical import text_of
from orcestator.errors import Forbidden, QuotaExceeded
from orcestator.gateway.caller import Caller
from orcestator.gateway.replay import replay
from orcestator.gateway.seams import Answers, Guarded, Lease, PlannedCall, TextGuard
from orcestator.json_text import Json, dumps
from orcestator.prices import cost
from orcestator.routing.events import RequestEnded
from orcestator.upstream.call import Answer, WholeAnswer
from orcestator.usage import Usage


class GcraLimiter:
    """So many requests in so many seconds of each caller, by one number a caller (the generic cell rate algorithm)."""

    def __init__(self, requests: int, seconds: float) -> None:
        self._cost = seconds / requests
        self._seconds = seconds
        self._due: dict[str, float] = {}

    def admit(self, caller: Caller, peer: str, now: float) -> Lease | None:
        """Nothing has to be given back."""
        due = max(self._due.get(caller.id, 0.0), now) + self._cost
        if due - now > self._seconds + 1e-6:
            wait = str(max(1, round(due - now - self._seconds)))
            raise QuotaExceeded("Too many requests.", code="rate_limited", headers={"retry-after": wait})
        self._due[caller.id] = due
        return None


class Places:
    """So many requests of one caller, or of one address, at once."""

    def __init__(self, most: int, *, by_peer: bool = False) -> None:
        self._most = most
        self._by_peer = by_peer
        self.taken: dict[str, int] = {}

    def admit(self, caller: Caller, peer: str, now: float) -> Lease | None:
        """A place, until the request has ended."""
        who = peer if self._by_peer else caller.id
        if self.taken.get(who, 0) >= self._most:
            raise QuotaExceeded("Too many requests at once.", headers={"retry-after": "1"})
        self.taken[who] = self.taken.get(who, 0) + 1
        return Release(lambda ended: self._leave(who))

    def _leave(self, who: str) -> None:
        self.taken[who] -= 1


class Release:
    """A lease that does one thing."""

    def __init__(self, do: Callable[[RequestEnded | None], None]) -> None:
        self._do = do

    def release(self, ended: RequestEnded | None) -> None:
        """Do it."""
        self._do(ended)


class Budget:
    """Nano-dollars that each caller may spend: what may still be spent is held while it is not known what was."""

    def __init__(self, each: int) -> None:
        self._each = each
        self.spent: dict[str, int] = {}
        self.held: dict[str, int] = {}

    def reserve(self, call: PlannedCall, now: float) -> Lease | None:
        """Hold the price of the dearest candidate."""
        who, asked = call.caller.id, call.order.call or {}
        output = asked.get("max_tokens") or 1000
        prompt = len(call.order.body) // 4
        most = Usage(prompt, output)
        price = max(cost(candidate.traits.prices, most) or 0 for candidate in call.plan.candidates)
        left = self._each - self.spent.get(who, 0) - self.held.get(who, 0)
        if price > left:
            raise QuotaExceeded(
                f"This request may cost {price} nano-dollars, and {left} are left of the budget: lower 'max_tokens'.",
                code="budget_exceeded",
                param="max_tokens",
                headers={"retry-after": "3600"},
            )
        self.held[who] = self.held.get(who, 0) + price

        def settle(ended: RequestEnded | None) -> None:
            self.held[who] -= price
            spent = price if ended is None or ended.nano_usd is None else ended.nano_usd
            self.spent[who] = self.spent.get(who, 0) + spent

        return Release(settle)


class ResponseCache:
    """Whole replies by what was asked, for each caller by itself. A stream is answered from what a whole request left."""

    name = "cache"

    def __init__(self) -> None:
        self.replies: dict[tuple[str, bytes], Json] = {}

    async def answer(self, call: PlannedCall, proceed: Answers) -> Answer:
        """From memory, or from the attempts."""
        asked = {
            name: value for name, value in (call.order.call or {}).items() if name not in ("stream", "stream_options")
        }
        key = call.caller.id, dumps(asked)
        kept = self.replies.get(key)
        if kept is not None:
            return replay(call.order, kept, self.name)
        answer = await proceed(call)
        if isinstance(answer, WholeAnswer) and answer.wire is not None:
            self.replies[key] = answer.wire
        return answer


class Anonymiser:
    """Puts a placeholder in the place of every e-mail address, and the address back into the answer; refuses what it must not see."""

    ADDRESS = re.compile(r"[\w.]+@[\w.]*\w")
    FORBIDDEN = "top secret"

    async def check(self, caller: Caller, endpoint: str, call: Json) -> Guarded:
        """The call without addresses. Raises Forbidden."""
        found: dict[str, str] = {}

        def replaced(match: re.Match[str]) -> str:
            return found.setdefault(match.group(), f"<person {len(found) + 1}>")

        messages = []
        for number, message in enumerate(call.get("messages") or ()):
            text = text_of(message.get("content"))
            if self.FORBIDDEN in text:
                raise Forbidden("Secrets are not sent to models.", code="secret", param=f"messages[{number}].content")
            messages.append({**message, "content": self.ADDRESS.sub(replaced, text)})
        back = {placeholder: address for address, placeholder in found.items()}
        anonymous = {**call, "messages": messages} if found else call
        return Guarded(anonymous, lambda: PutBack(back))


class PutBack:
    """Puts addresses back, also those whose placeholder comes in pieces; ends an answer that says what it must not."""

    def __init__(self, back: dict[str, str]) -> None:
        self._back = back
        self._held = ""

    def text(self, piece: str) -> str:
        """Everything but the beginning of what may become a placeholder, or what must not be said."""
        text = self._held + piece
        if Anonymiser.FORBIDDEN in text:
            raise Forbidden("The answer has a secret in it.", code="secret")
        for placeholder, address in self._back.items():
            text = text.replace(placeholder, address)
        opening = text.rfind("<")
        cut = opening if opening >= 0 and ">" not in text[opening:] else len(text)
        begun = [n for n in range(1, len(Anonymiser.FORBIDDEN)) if text.endswith(Anonymiser.FORBIDDEN[:n])]
        cut = min(cut, len(text) - max(begun, default=0))
        self._held = text[cut:]
        return text[:cut]

    def rest(self) -> str:
        """What began as a placeholder and is none."""
        rest, self._held = self._held, ""
        return rest


_: type[TextGuard] = PutBack
