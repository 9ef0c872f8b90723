# ruff: noqa: RUF001
"""The class of an error message of version 2, as the documentation describes it, step by step in plain Python."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~。"
_TRACEBACK = "Traceback (most recent call last)"
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PAIRS = {"'": "'", '"': '"', "`": "`", "‘": "’", "“": "”", "「": "」", "『": "』", "«": "»"}
_ANNOUNCING = set(
    re.findall(
        r"\S+",
        "a an and build by call calling code command error errors exception execution executing exit exitcode exited"
        " fail failed failure fatal finished http in non-zero nonzero occurred output process program request response"
        " result return returncode returned running shell signal status stderr stdout terminated the tool was with",
    )
)
_BEFORE_CODE = set(
    re.findall(
        r"\S+",
        "code errno error errorcode exit exitcode exited http returncode signal sqlstate status statuscode winerror",
    )
)
_BEFORE_CODE_WORD = {
    "",
    "error",
    "exit",
    "http",
    "response",
    "result",
    "return",
    "returned",
    "status",
    "with",
}
_BEFORE_STATUS = {"got", "received", "response", "returned", "was"}


@dataclass
class Word:
    text: str
    colon: bool = False
    ends_clause: bool = False
    code: bool = False
    small: bool = False

    @property
    def names_error(self) -> bool:
        return "error" in self.text or "exception" in self.text or self.text == "fatal"

    @property
    def announces(self) -> bool:
        return self.code or self.text in _ANNOUNCING


def reference_class_2(message: str) -> str:
    """The class of a message that holds no JSON."""
    line = _without_quotes(_deciding_line(unicodedata.normalize("NFKC", message)))
    words = _stable_words(line)
    if all(word.announces and not word.code for word in words):
        words = _stable_words(line, names=True)
    words = _without_small_segments(_without_label(words))
    if len(words) > 2 and words[-2].colon and not words[-1].code and not _is_unspaced(words[-1].text[0]):
        words = words[:-1]
    return _clipped(words) or "error"


def _is_unspaced(character: str) -> bool:
    return re.match(f"[{_UNSPACED}]", character) is not None


def _deciding_line(text: str) -> str:
    every = [line.removesuffix("\r") for line in text.split("\n")]
    headers = [number for number, line in enumerate(every) if _TRACEBACK in line]
    if headers:
        return _end_of_traceback(every[headers[-1] :])
    lines = [line.strip() for line in every if line.strip()]
    saying = [
        line
        for line in lines
        if not line.startswith(("$ ", "> ", "```"))
        and not line.endswith(":")
        and not all(word.announces for word in _stable_words(line))
    ]
    if not saying:
        return lines[0] if lines else ""
    labelled = [line for line in saying if _has_error_label(_stable_words(line))]
    return saying[0] if saying[0] == lines[0] else [*labelled, saying[0]][0]


def _has_error_label(words: list[Word]) -> bool:
    end = next((at for at, word in enumerate(words[:6]) if word.colon), len(words))
    return end + 1 < len(words) and any(word.names_error for word in words[: end + 1])


def _end_of_traceback(lines: list[str]) -> str:
    header, *rest = lines
    if not rest:
        behind = header[header.rindex(_TRACEBACK) + len(_TRACEBACK) :]
        found = list(re.finditer(r"[\w.]*(Error|Exception):", behind))
        return behind[found[-1].start() :].strip() if found else header[header.rindex(_TRACEBACK) :].strip()
    indent = len(header) - len(header.lstrip())
    for line in filter(str.strip, rest):
        if len(line) - len(line.lstrip()) <= indent and re.fullmatch(r"[\w.]+(:.*)?", line.strip()):
            return line.strip()
    texts = [line.strip() for line in rest if line.strip()]
    return texts[-1] if texts else header[header.rindex(_TRACEBACK) :].strip()


def _without_quotes(line: str) -> str:
    kept, at = "", 0
    while at < len(line):
        closing = _PAIRS.get(line[at])
        ends = [
            end
            for end in range(at + 1, len(line))
            if closing and not _joins(line[at - 1 : at] if at else "") and line[end] == closing
            if closing not in "'\"`’" or not _joins(line[end + 1 : end + 2])
        ]
        kept, at = (kept + " ", ends[0] + 1) if ends else (kept + line[at], at + 1)
    return kept


def _joins(character: str) -> bool:
    return character.isalnum() and not _is_unspaced(character)


def _pieces(line: str) -> list[str]:
    found: list[str] = []
    for word in re.split(r"[\s、]+", line):
        start = 0
        for at in range(1, len(word)):
            before, this = word[at - 1], word[at]
            if (
                (this in "[(<" and before.isalnum())
                or (before == ">" and this.isalnum())
                or before == "。"
                or (_is_unspaced(before) and this.isascii() and this.isalnum())
                or (_is_unspaced(this) and before.isascii())
                or _announces_code(word[start:at])
            ):
                found.append(word[start:at])
                start = at
        found += [word[start:]] if word[start:] else []
    return found


def _announces_code(piece: str) -> bool:
    word = re.sub("[_-]", "", piece.strip(_PUNCTUATION).lower())
    return piece[-1] in "=:" and len(piece) <= 16 and word != "error" and word in _BEFORE_CODE


def _stable_words(line: str, *, names: bool = False) -> list[Word]:
    words: list[Word] = []
    seen = ["", ""]
    for piece in _pieces(line):
        bare = piece.strip(_PUNCTUATION)
        if not bare:
            continue
        starts = not words or words[-1].colon
        code = _code(piece, bare, seen, starts)
        text = code or _stable(bare, names or seen[1] == "code", starts or piece.endswith(":"))
        if seen[1] == "line" and re.fullmatch("[0-9]+", bare) and words and words[-1].text == "line":
            words.pop()
        if text:
            words.append(Word(text, piece.endswith(":"), piece[-1] in ";.。", bool(code), bare[0].islower()))
        word = re.sub("[_-]", "", bare.split("/")[0].lower())
        seen = [seen[1], "error:" if word == "error" and piece.endswith(":") else word]
    return words


def _code(piece: str, bare: str, seen: list[str], starts: bool) -> str:
    announced = seen[1] in _BEFORE_CODE or re.search("(错误|状态码|返回码|退出码|错误码|错误代码)$", seen[1])
    if re.fullmatch("[0-9]{1,10}", bare):
        of_failure = seen[1] not in ("code", "status") or seen[0] in _BEFORE_CODE_WORD
        is_status = re.fullmatch("[45][0-9]{2}", bare) and (starts or seen[1] in _BEFORE_STATUS)
        if is_status or (announced and len(bare) <= (5 if of_failure else 3)):
            return ("-" if piece.lstrip('(["').startswith("-") else "") + bare
    elif re.fullmatch("[A-Za-z0-9-]{1,10}", bare) and re.search("[0-9]", bare):
        has_letters = re.match("[A-Za-z]{1,5}(?![A-Za-z])|0x", bare) or seen[1] == "sqlstate"
        of_vendor = starts and piece.endswith(":") and re.fullmatch("[A-Za-z]{2,5}-[0-9]{3,5}", bare)
        if has_letters and (announced or of_vendor):
            return bare.lower()
    return ""


def _stable(bare: str, names: bool, is_label: bool) -> str:
    is_name = re.fullmatch("[A-Za-z_.-]+", bare)
    if re.search(r"[0-9/\\@=]", bare):
        return ""
    if not re.search("[_.]", bare) or (names and is_name):
        return bare.lower()
    if re.fullmatch("[A-Z_]+", bare) and is_label:
        return bare.lower()
    last = bare.lower().rsplit(".", 1)[-1]
    return last if "." in bare and is_name and last.endswith(("error", "exception")) else ""


def _without_label(words: list[Word]) -> list[Word]:
    start = segment = 0
    for at, word in enumerate(words[:-1]):
        if at - segment == 6:
            break
        if not word.colon:
            continue
        label = words[segment : at + 1]
        if any(each.names_error for each in label):
            start = at + 1
        elif len(label) > 1 and not all(each.announces for each in label):
            break
        segment = at + 1
    return [word for at, word in enumerate(words) if at >= start or word.code]


def _without_small_segments(words: list[Word]) -> list[Word]:
    kept: list[Word] = []
    for at, word in enumerate(words):
        alone = word.colon and (at == 0 or words[at - 1].colon)
        if not (alone and not word.code and at < len(words) - 2 and (word.small or kept)):
            kept.append(word)
    return kept


def _clipped(words: list[Word]) -> str:
    kept: list[str] = []
    for word in words:
        room = 96 - len(" ".join([*kept, ""]).encode())
        if len(word.text.encode()) > room:
            start = word.text.encode()[: max(room, 0)].decode(errors="ignore")
            if start and (not kept or _is_unspaced(word.text[0])):
                kept.append(start)
            break
        kept.append(word.text)
        if word.ends_clause and len(kept) >= 3:
            break
    return " ".join(kept)
