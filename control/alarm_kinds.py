"""The table of alarms: for each kind its tag, delays, urgency and words in both languages.

A kind's on delay is how long its condition must hold before it is announced, its off delay how
long it must be gone. Levels come with their own hysteresis and have none. `conditions.py` fills
the words in.
"""

from __future__ import annotations

from typing import NamedTuple

from causeway.events import CameraHealth, IncidentKind

GATE_SLACK_S = 60.0  # beyond its time to travel, for the command to be made and taken


class Kind(NamedTuple):
    """One row of the table: the alarm's tag, its delays and its words.

    `{name}` is the asset's, other fields the condition's own.
    """

    tag: str
    on_s: float
    off_s: float
    text_vi: str
    text_en: str


KINDS: dict[str, Kind] = {
    "flood": Kind("FLOOD-{}", 0, 0, "Ngập {depth} cm {name}", "{depth} cm of water on {name}"),
    "flood_expected": Kind(
        "FORECAST-{}",
        0,
        60,
        "Dự báo ngập trên 20 cm: {count} đoạn, đầu tiên {street}{when_vi}, tới {peak} cm",
        "Forecast over 20 cm of water: {count} roads, {street} first{when_en}, up to {peak} cm",
    ),
    "basin": Kind(
        "BASIN-{}",
        0,
        0,
        "Lưu vực {name} ngập khẩn cấp: {count}/{of} đoạn{when_vi}, tới {peak} cm",
        "Flood emergency in basin {name}: {count} of {of} roads{when_en}, up to {peak} cm",
    ),
    "tide": Kind(
        "TIDE-{}",
        0,
        0,
        "Triều {name} vượt báo động {roman} ({threshold_vi} m)",
        "Tide at {name} above alarm level {roman} ({threshold_en} m)",
    ),
    "stopped_vehicle": Kind(
        "INC-{}-STOPPED", 0, 0, "Xe dừng bất thường: {name}", "Vehicle stopped: {name}"
    ),
    "congestion": Kind("INC-{}-CONGESTION", 0, 0, "Ùn tắc: {name}", "Congestion: {name}"),
    "collision": Kind("INC-{}-COLLISION", 0, 0, "Va chạm: {name}", "Collision: {name}"),
    "wrong_way": Kind("INC-{}-WRONG_WAY", 0, 0, "Xe đi ngược chiều: {name}", "Wrong way: {name}"),
    "pedestrian": Kind(
        "INC-{}-PEDESTRIAN", 0, 0, "Người đi bộ dưới lòng đường: {name}", "Pedestrian: {name}"
    ),
    "debris": Kind("INC-{}-DEBRIS", 0, 0, "Vật cản trên đường: {name}", "Debris: {name}"),
    "water_on_road": Kind(
        "INC-{}-WATER", 0, 0, "Nước trên mặt đường: {name}", "Water on the road: {name}"
    ),
    "camera": Kind("CAM-{}", 5, 10, "Camera {name}: {health_vi}", "Camera {name}: {health_en}"),
    "source": Kind("SRC-{}", 0, 5, "Mất liên lạc: {name}", "Contact lost: {name}"),
    "takeover": Kind(
        "PLC-{}", 10, 5, "{name} tự điều khiển tại chỗ", "{name} follows its own rules"
    ),
    "command": Kind(
        "CMD-{}", 0, 30, "{name} không thực hiện lệnh", "{name} did not do as commanded"
    ),
    "pump": Kind("PUMP-{}", 2, 5, "{name} báo lỗi", "{name} reports a fault"),
    "gate": Kind("GATE-{}", 2, 5, "{name} báo lỗi", "{name} reports a fault"),
    "gate_open": Kind(
        "GATE-{}-OPEN",
        GATE_SLACK_S,
        5,
        "{name} còn mở {open} % khi triều {outside_vi} m (mức đóng {closing_vi} m)",
        "{name} still {open} % open at a tide of {outside_en} m (closes at {closing_en} m)",
    ),
    "signal": Kind("SIG-{}", 1, 5, "Đèn {name}: {what_vi}", "Signals {name}: {what_en}"),
    "signal_local": Kind(
        "SIG-{}-LOCAL",
        30,
        5,
        "Đèn {name} chạy theo chương trình tại chỗ, không nghe trung tâm",
        "Signals {name} go by their own plan and do not hear the centre",
    ),
    "clock": Kind(
        "CLOCK-{}",
        10,
        10,
        "Đồng hồ tủ đèn {name} sai giờ: trung tâm không ra lệnh",
        "Clock of the controller at {name} is wrong: it is given no commands",
    ),
    "centre_clock": Kind(
        "CLOCK-{}",
        0,
        10,
        "Đồng hồ {name} sai giờ: không nút giao nào được ra lệnh",
        "Clock of {name} is wrong: no junction is given commands",
    ),
}
FLOOD_PRIORITY = {1: 4, 2: 3, 3: 2, 4: 1}  # by inundation level
EXPECTED_PRIORITY = {2: 2, 3: 1}  # by the worst alert level
BASIN_PRIORITY = 1  # only an emergency is an alarm
TIDE_PRIORITY = {1: 3, 2: 2, 3: 1}  # by alarm level
ROMAN = {1: "I", 2: "II", 3: "III"}
INCIDENT_PRIORITY = {
    IncidentKind.STOPPED_VEHICLE: 2,
    IncidentKind.CONGESTION: 3,
    IncidentKind.COLLISION: 1,
    IncidentKind.WRONG_WAY: 1,
    IncidentKind.PEDESTRIAN: 2,
    IncidentKind.DEBRIS: 2,
    IncidentKind.WATER_ON_ROAD: 3,
}
CAMERA_PRIORITY = {
    CameraHealth.LOST: 3,
    CameraHealth.BROKEN: 3,
    CameraHealth.FROZEN: 3,
    CameraHealth.DARK: 4,
    CameraHealth.BLURRED: 4,
    CameraHealth.BLOCKED: 4,
    CameraHealth.MOVED: 4,
    CameraHealth.UNKNOWN: 4,
}
CAMERA_WORDS = {
    CameraHealth.LOST: ("mất hình", "no picture"),
    CameraHealth.BROKEN: ("hình hỏng", "pictures cannot be decoded"),
    CameraHealth.FROZEN: ("đứng hình", "picture frozen"),
    CameraHealth.DARK: ("quá tối", "too dark"),
    CameraHealth.BLURRED: ("hình mờ", "picture blurred"),
    CameraHealth.BLOCKED: ("bị che khuất", "view blocked"),
    CameraHealth.MOVED: ("lệch hướng nhìn", "moved to another view"),
    CameraHealth.UNKNOWN: ("chưa rõ", "not known"),
}
TAKEOVER_PRIORITY = 2
COMMAND_PRIORITY = 2
PUMP_FAULT_PRIORITY = 2
GATE_FAULT_PRIORITY = 2
GATE_OPEN_PRIORITY = 1
SIGNAL_PRIORITY = 1
SIGNAL_LOCAL_PRIORITY = 3
CLOCK_PRIORITY = 3
CENTRE_CLOCK_PRIORITY = 1
