"""The English of the demo: the nouns of its databases, and their values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of thing: its name, its other names, its attributes, and the kinds it belongs to."""

    word: str
    synonyms: tuple[str, ...]
    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    owners: tuple[str, ...] = ()


_NOUNS = """
customer: debtor buyer; city segment status language; credit age discount;
supplier: vendor maker; country status currency grade; rating discount age;
branch: outlet location; city region status grade; budget revenue capacity;
employee: worker headcount; city language grade status; salary age rating; branch
product: article material; category colour grade status; price weight stock; supplier
order: booking request; status channel currency priority; amount discount quantity; customer
invoice: bill voucher; status currency channel region; amount tax discount; customer supplier
shipment: delivery freight; status country priority channel; weight distance cost; warehouse customer
warehouse: depot yard; city region grade status; capacity stock cost; branch
machine: equipment asset; category status colour grade; price age power; warehouse branch
project: undertaking job; status priority region category; budget duration risk; customer branch
contract: agreement deal; status language currency category; amount duration risk; supplier
vehicle: truck fleet; colour category status region; power distance price; branch warehouse
payment: receipt settlement; channel currency status country; amount tax cost; customer
ticket: case incident; priority status channel language; duration rating cost; customer product
course: training lesson; language category grade city; price duration capacity; employee branch
campaign: promotion drive; channel segment region status; budget revenue duration; branch
inspection: audit check; status grade category priority; rating duration cost; machine supplier
device: gadget terminal; category colour status language; price age power; employee customer
policy: coverage insurance; category status country currency; amount risk duration; customer vehicle
route: tour journey; region country priority status; distance duration cost; vehicle warehouse
bonus: reward premium; category currency status grade; amount tax age; employee
"""
"""A noun: its other names, its attributes that are texts, those that are numbers, and the nouns it can belong to."""

_SYNONYMS = """
city: town place
country: nation land
region: area zone
status: phase condition
category: kind group
colour: shade tint
priority: urgency rank
language: tongue idiom
grade: level tier
channel: medium way
currency: money unit
segment: market target
price: value fee
amount: total sum
weight: mass heft
salary: wage income
age: years since
rating: score mark
discount: rebate bonus
credit: limit allowance
budget: funds plan
revenue: turnover sales
capacity: volume space
stock: holding onhand
quantity: number pieces
tax: duty levy
distance: length mileage
cost: expense outlay
power: output watts
duration: term period
risk: hazard exposure
name: label title
number: ident reference
"""

_VALUES = """
city: Lisbon Oslo Graz Turin Porto Gdansk Leeds Ghent Malmo Basel Tartu Split
country: Peru Norway Austria Kenya Chile Japan Latvia Ghana Spain Nepal
region: north south east west coast alps delta
status: open closed pending blocked draft final
category: basic extra premium trial bulk spare
colour: red blue green black white silver amber
priority: low normal high urgent
language: English German French Polish Spanish Finnish
grade: A1 A2 B1 B2 C1
channel: web phone mail shop partner
currency: EUR USD GBP CHF JPY
segment: retail public energy health travel
"""

_SYLLABLES = "bel cor dan fen gil har jun kal lor mar nor pel quin ros sel tor ul ven wil yar zan"


def _listed(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The words behind each name that is listed."""
    for line in text.strip().splitlines():
        name, _, words = line.partition(":")
        yield name, tuple(words.split())


def _nouns(text: str) -> Iterator[Noun]:
    for line in text.strip().splitlines():
        word, _, rest = line.partition(":")
        yield Noun(word, *(tuple(part.split()) for part in rest.split(";")))


NOUNS = tuple(_nouns(_NOUNS))

SYNONYMS = dict(_listed(_SYNONYMS))
"""Legacy names of an attribute."""

VALUES = dict(_listed(_VALUES))
"""Values of text attributes; several tables share them, so a value does not give its table away."""

SYLLABLES = tuple(_SYLLABLES.split())
"""The parts of proper names."""


def plural(word: str) -> str:
    """Of a regular noun."""
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "ch")) else f"{word}s"
