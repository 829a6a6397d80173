"""Ask DNS about the records of a domain, and answer within bounds whatever comes back.

Whoever owns a name decides what its answer holds, so nothing here is unlimited: so many values, so
many characters of each, so many seconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

import dns.exception
import dns.rdatatype
import dns.resolver
from django.conf import settings

VALUES_LIMIT = 20
VALUE_LIMIT = 2_048
SECONDS = 4.0
ASKED_AT_ONCE = 32
CHECKED_BY = 2


class Problem(StrEnum):
    """Why there are no values."""

    NO_NAME = "no_name"
    NO_RECORD = "no_record"
    TOO_MANY = "too_many"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True)
class Question:
    """One name and one type, absolute and without its final dot."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one resolver said. `is_alias` tells that a CNAME led elsewhere."""

    resolver: str
    values: tuple[str, ...] = ()
    problem: Problem | None = None
    is_alias: bool = False


def ask_all(questions: Iterable[Question]) -> Mapping[Question, Sequence[Answer]]:
    """Every question to every resolver that checks."""
    wanted = list(dict.fromkeys(questions))
    resolvers = checking_resolvers()
    pairs = [(question, resolver) for question in wanted for resolver in resolvers]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        answers = list(pool.map(lambda pair: ask(*pair), pairs))
    found: dict[Question, list[Answer]] = {question: [] for question in wanted}
    for (question, _), answer in zip(pairs, answers, strict=True):
        found[question].append(answer)
    return found


def checking_resolvers() -> list[dns.resolver.Resolver]:
    """One for each of the first two addresses given, or the system's own."""
    chosen = settings.DOMAIN_DNS_RESOLVERS[:CHECKED_BY]
    if not chosen:
        return [dns.resolver.Resolver()]
    return [_resolver_at(address) for address in chosen]


def ask(question: Question, resolver: dns.resolver.Resolver) -> Answer:
    """One look-up; never raises."""
    named = str(resolver.nameservers[0]) if resolver.nameservers else "system"
    try:
        reply = resolver.resolve(
            f"{question.name}.",
            dns.rdatatype.from_text(question.type),
            lifetime=SECONDS,
            search=False,
        )
    except dns.resolver.NXDOMAIN:
        return Answer(named, problem=Problem.NO_NAME)
    except dns.resolver.NoAnswer:
        return Answer(named, problem=Problem.NO_RECORD)
    except (dns.exception.DNSException, OSError, ValueError):
        return Answer(named, problem=Problem.NO_ANSWER)
    is_alias = str(reply.canonical_name).rstrip(".").lower() != question.name
    if reply.rrset is None:
        return Answer(named, problem=Problem.NO_RECORD)
    if len(reply.rrset) > VALUES_LIMIT:
        return Answer(named, problem=Problem.TOO_MANY, is_alias=is_alias)
    values = tuple(_text(record) for record in reply.rrset)
    return Answer(named, values=values, is_alias=is_alias)


def _resolver_at(address: str) -> dns.resolver.Resolver:
    chosen = dns.resolver.Resolver(configure=False)
    chosen.nameservers, chosen.port = [address], settings.DOMAIN_DNS_PORT
    # No cache: a check asks again because it wants to know.
    return chosen


def _text(record: object) -> str:
    """A record as people write it: TXT strings joined, names without their final dot."""
    strings = getattr(record, "strings", None)
    if strings is not None:
        joined = b"".join(strings)[: VALUE_LIMIT + 1]
        return _printable(joined.decode("utf-8", "replace"))[:VALUE_LIMIT]
    exchange = getattr(record, "exchange", None)
    if exchange is not None:
        return f"{getattr(record, 'preference', 0)} {str(exchange).rstrip('.').lower()}"
    return _printable(str(record)).rstrip(".").lower()[:VALUE_LIMIT]


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
