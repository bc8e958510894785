"""pmc: answers of a PTP clock to management requests (linuxptp pmc.c).

Fields by data set are those of linuxptp 2 to 4; an answer that lacks one was cut off.
"""

import re
from dataclasses import dataclass

from fieldtap_hardware.explain.model import Draft, Item
from fieldtap_hardware.explain.text import (
    Line,
    Recording,
    decimal,
    key_of,
    refuse,
)

REQUEST = re.compile(r"sending: (?:GET|SET|COMMAND) ([A-Z_0-9]+)")
ANSWER = re.compile(
    r"([0-9a-f]{6}\.[0-9a-f]{4}\.[0-9a-f]{6}-[0-9]{1,5}) seq [0-9]{1,5} "
    r"(?:RESPONSE|ACKNOWLEDGE) (MANAGEMENT|MANAGEMENT_ERROR_STATUS)(?: ([A-Z_0-9]+))?"
)
ROW = re.compile(r"([A-Za-z][A-Za-z0-9_.]{0,60})(?: +(\S.*))?")

INTEGER = re.compile(r"-?[0-9]{1,19}")
POINT = re.compile(r"[+-]?[0-9]{1,19}\.[0-9]{1,9}")
HEX = re.compile(r"0x[0-9a-f]{1,8}")
CLOCK = re.compile(r"[0-9a-f]{6}\.[0-9a-f]{4}\.[0-9a-f]{6}")
PORT = re.compile(CLOCK.pattern + r"-[0-9]{1,5}")
WORD = re.compile(r"[A-Z][A-Z_0-9]+")
TRUTH = re.compile(r"true|false")
PROVE_THEIR_END = (POINT, CLOCK, TRUTH)

FIELDS = {
    "DEFAULT_DATA_SET": {
        "twoStepFlag": INTEGER,
        "slaveOnly": INTEGER,
        "numberPorts": INTEGER,
        "priority1": INTEGER,
        "clockClass": INTEGER,
        "clockAccuracy": HEX,
        "offsetScaledLogVariance": HEX,
        "priority2": INTEGER,
        "clockIdentity": CLOCK,
        "domainNumber": INTEGER,
    },
    "CURRENT_DATA_SET": {
        "stepsRemoved": INTEGER,
        "offsetFromMaster": POINT,
        "meanPathDelay": POINT,
    },
    "PARENT_DATA_SET": {
        "parentPortIdentity": PORT,
        "parentStats": INTEGER,
        "observedParentOffsetScaledLogVariance": HEX,
        "observedParentClockPhaseChangeRate": HEX,
        "grandmasterPriority1": INTEGER,
        "gm.ClockClass": INTEGER,
        "gm.ClockAccuracy": HEX,
        "gm.OffsetScaledLogVariance": HEX,
        "grandmasterPriority2": INTEGER,
        "grandmasterIdentity": CLOCK,
    },
    "TIME_PROPERTIES_DATA_SET": {
        "currentUtcOffset": INTEGER,
        "leap61": INTEGER,
        "leap59": INTEGER,
        "currentUtcOffsetValid": INTEGER,
        "ptpTimescale": INTEGER,
        "timeTraceable": INTEGER,
        "frequencyTraceable": INTEGER,
        "timeSource": HEX,
    },
    "PORT_DATA_SET": {
        "portIdentity": PORT,
        "portState": WORD,
        "logMinDelayReqInterval": INTEGER,
        "peerMeanPathDelay": INTEGER,
        "logAnnounceInterval": INTEGER,
        "announceReceiptTimeout": INTEGER,
        "logSyncInterval": INTEGER,
        "delayMechanism": INTEGER,
        "logMinPdelayReqInterval": INTEGER,
        "versionNumber": INTEGER,
    },
    "TIME_STATUS_NP": {
        "master_offset": INTEGER,
        "ingress_time": INTEGER,
        "cumulativeScaledRateOffset": POINT,
        "scaledLastGmPhaseChange": INTEGER,
        "gmTimeBaseIndicator": INTEGER,
        "lastGmPhaseChange": re.compile(r"0x[0-9a-f]{4}'[0-9a-f]{16}\.[0-9a-f]{4}"),
        "gmPresent": TRUTH,
        "gmIdentity": CLOCK,
    },
    "PORT_STATS_NP": {"portIdentity": PORT, "rx_Sync": INTEGER, "tx_Management": INTEGER},
    "PORT_PROPERTIES_NP": {"portIdentity": PORT, "portState": WORD, "portTimestamping": WORD},
    "PORT_HWCLOCK_NP": {"portIdentity": PORT, "phcIndex": INTEGER},
    "GRANDMASTER_SETTINGS_NP": {
        "clockClass": INTEGER,
        "clockAccuracy": HEX,
        "offsetScaledLogVariance": HEX,
        "currentUtcOffset": INTEGER,
        "leap61": INTEGER,
        "leap59": INTEGER,
        "currentUtcOffsetValid": INTEGER,
        "ptpTimescale": INTEGER,
        "timeTraceable": INTEGER,
        "frequencyTraceable": INTEGER,
        "timeSource": HEX,
    },
}
# "delayMechanism" and "versionNumber" are bytes, which some releases print in hex.
EITHER = re.compile(f"{INTEGER.pattern}|{HEX.pattern}")


@dataclass
class _Answer:
    item: Item
    data_set: str
    seen: set[str]


def parse(recording: Recording, draft: Draft) -> None:
    """One item a port that answered, its subject the port identity; its data sets are joined.

    Times are nanoseconds, as pmc prints them.
    """
    asked: list[str] = []
    answers: list[_Answer] = []
    ports: dict[str, Item] = {}
    for line in recording:
        if match := REQUEST.fullmatch(line.text):
            asked.append(match[1])
        elif match := ANSWER.fullmatch(line.text):
            draft.end_proven = False
            if match[2] == "MANAGEMENT_ERROR_STATUS" or match[3] is None:
                draft.doubt(f"{match[1]} refused a request")
            else:
                item = ports.get(match[1]) or Item(match[1], draft.open(match[1]))
                ports[match[1]] = item
                answers.append(_Answer(item, match[3], set()))
        elif not answers or not line.indent or not _row(line, answers[-1], draft):
            refuse(line, draft)
    _judge(asked, answers, draft)


def _row(line: Line, answer: _Answer, draft: Draft) -> bool:
    match = ROW.fullmatch(line.text)
    if match is None:
        return False
    label, text = match[1], match[2] or ""
    shape = FIELDS.get(answer.data_set, {}).get(label)
    if shape and not (shape.fullmatch(text) or (shape is INTEGER and EITHER.fullmatch(text))):
        draft.doubt(f"line {line.number}: the value of {label} is garbled or cut off")
        return True
    number = decimal(text)
    answer.item.values[key_of(label)] = text if number is None else number
    answer.seen.add(label)
    draft.end_proven = shape in PROVE_THEIR_END
    return True


def _judge(asked: list[str], answers: list[_Answer], draft: Draft) -> None:
    for answer in answers:
        lacking = [field for field in FIELDS.get(answer.data_set, {}) if field not in answer.seen]
        if lacking:
            draft.doubt(f"{answer.item.subject}: {answer.data_set} lacks {lacking[0]}: cut off")
        elif not answer.seen:
            draft.doubt(f"{answer.item.subject}: {answer.data_set} is empty")
    answered = {answer.data_set for answer in answers}
    silent = [name for name in asked if name not in answered]
    if silent:
        draft.doubt(f"no clock answered {silent[0]}: does ptp4l run, and may it be asked?")
