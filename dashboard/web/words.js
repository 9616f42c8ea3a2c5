// Decides how things are said: Vietnamese first, English by the switch, numbers and times as each writes them.
import { signal } from "@preact/signals";

const KEPT = "causeway-language";

const WORDS = {
  subtitle: ["Giao thông + Ngập", "Traffic + Flood"],
  tide: ["Triều", "Tide"],
  rain60: ["Mưa 60′", "Rain 60′"],
  alarmLevel: ["BĐ", "AL"],
  LIVE: ["TRỰC TIẾP", "LIVE"],
  DEMO: ["MÔ PHỎNG", "DEMO"],
  delay: ["trễ", "delay"],
  speed: ["tốc độ", "speed"],
  connecting: ["ĐANG KẾT NỐI", "CONNECTING"],
  lost: ["MẤT KẾT NỐI", "CONNECTION LOST"],
  stale: ["DỮ LIỆU NGỪNG CẬP NHẬT", "DATA NOT UPDATING"],
  staleSince: ["Hình đang thấy là của", "What is shown is of"],
  ago: ["trước", "ago"],
  doNotTrust: ["không dùng để điều hành", "not to be acted on"],
  reconnecting: ["đang nối lại…", "reconnecting…"],
  loading: ["Đang tải bản đồ thành phố…", "Loading the city…"],
  siteFailed: ["Không tải được dữ liệu thành phố", "The city's data could not be loaded"],

  alarms: ["Cảnh báo", "Alarms"],
  shelved: ["tạm gác", "shelved"],
  noAlarms: ["Không có cảnh báo", "No alarms"],
  colTime: ["Giờ", "Time"],
  colTag: ["Thẻ", "Tag"],
  colText: ["Mô tả", "Description"],
  colState: ["TT", "State"],
  unack: ["CHƯA XN", "UNACK"],
  ack: ["Đã XN", "Acked"],
  rtn_unack: ["HẾT, CHƯA XN", "RTN UNACK"],
  keyAck: ["xác nhận", "acknowledge"],
  keyShelve: ["tạm gác", "shelve"],
  keyOpen: ["mở", "open"],
  showShelved: ["Xem cảnh báo tạm gác", "Show shelved"],
  hideShelved: ["Ẩn cảnh báo tạm gác", "Hide shelved"],
  shelveFor: ["Tạm gác trong", "Shelve for"],
  why: ["Lý do", "Reason"],
  unshelve: ["Bỏ gác", "Unshelve"],
  until: ["đến", "until"],
  minutes: ["phút", "min"],
  hours: ["giờ", "h"],
  cancel: ["Huỷ", "Cancel"],
  confirm: ["Thực hiện", "Execute"],
  close: ["Đóng", "Close"],
  acknowledge: ["Xác nhận", "Acknowledge"],
  shelve: ["Tạm gác", "Shelve"],

  closures: ["Đóng đường", "Closures"],
  closureProposed: ["Đề nghị đóng", "Proposed closure"],
  closureApproved: ["Đang đóng", "Closed"],
  closureDeclined: ["Đã từ chối", "Declined"],
  approve: ["Duyệt đóng", "Approve"],
  decline: ["Từ chối", "Decline"],
  endClosure: ["Mở lại đường", "Reopen"],
  noClosures: ["Không có đề nghị đóng đường", "No closures proposed"],
  closureClasses: ["Cấm", "Bans"],
  alreadyClosed: ["đang cấm", "already closed"],
  signs: ["Biển báo", "Signs"],
  chain: ["Chuỗi nguyên nhân", "Cause chain"],
  chainRead: ["Đọc từ nhật ký", "Read from the journal"],
  step: ["bước", "step"],
  motorbike: ["xe máy", "motorbikes"],
  car: ["ô tô", "cars"],
  bus: ["xe buýt", "buses"],
  truck: ["xe tải", "trucks"],
  emergency: ["xe ưu tiên", "emergency"],

  depthTitle: ["Mực nước", "Water depth"],
  measuredForecastLimits: ["thực đo, dự báo, ngưỡng", "measured, forecast, limits"],
  sumpTitle: ["Bể hút", "Sump"],
  queueTitle: ["Hàng chờ", "Queues"],
  rainTitle: ["Mưa", "Rain"],
  levelTitle: ["Mực nước", "Level"],
  levelsLegend: ["báo động", "alarm levels"],
  noHistory: ["Chưa có dữ liệu lịch sử", "No history"],
  historyAway: ["Kho lịch sử đang ngắt", "The history store is away"],
  measured: ["thực đo", "measured"],
  forecast: ["dự báo", "forecast"],

  camerasTitle: ["Camera liên quan (tự chọn theo cảnh báo)", "Related cameras (by the alarm)"],
  noPicture: ["chưa có hình", "no picture"],
  pictureOld: ["HÌNH CŨ", "OLD PICTURE"],
  occupancy: ["Chiếm mặt đường", "Occupancy"],
  moving: ["Đang chuyển động", "Moving"],
  health: ["Chất lượng hình", "Picture"],
  ok: ["tốt", "good"],
  frozen: ["đứng hình", "frozen"],
  dark: ["tối", "dark"],
  blurred: ["mờ", "blurred"],
  blocked: ["bị che", "blocked"],
  moved: ["lệch hướng", "moved"],
  broken: ["lỗi giải mã", "broken"],
  lostCamera: ["mất tín hiệu", "lost"],
  unknown: ["chưa rõ", "unknown"],
  congestion: ["ùn tắc", "congestion"],
  stopped_vehicle: ["xe dừng bất thường", "stopped vehicle"],
  collision: ["va chạm", "collision"],
  wrong_way: ["xe đi ngược chiều", "wrong way"],
  pedestrian: ["người dưới lòng đường", "pedestrian on the road"],
  debris: ["vật cản", "debris"],
  water_on_road: ["nước trên mặt đường", "water on the road"],
  incident: ["Sự cố", "Incident"],

  outlook: ["Dự báo ngập", "Flood outlook"],
  outlookMade: ["lập lúc", "made"],
  outlookNone: ["Chưa có dự báo", "No forecast yet"],
  outlookDry: ["Không đường nào dự báo ngập trong", "No street expected under water within"],
  skill: ["Độ tin cậy đến nay", "How good it has been"],
  skillFloods: ["Lần ngập có cảnh báo trước", "Floods warned of before"],
  skillLead: ["trước (trung vị)", "ahead (median)"],
  skillFalse: ["Cảnh báo sai", "False warnings"],
  skillOff: ["lệch", "off by"],
  skillKept: ["giữ nguyên", "unchanged depth"],
  skillInside: ["trong dải", "within the band"],
  skillGauged: ["chỉ ở đường có trạm đo", "gauged streets only"],
  outlookOld: ["DỰ BÁO CŨ", "OLD FORECAST"],
  members: ["thành viên", "members"],
  alert1: ["theo dõi", "watch"],
  alert2: ["cảnh báo", "warning"],
  alert3: ["khẩn cấp", "emergency"],
  colStreet: ["Đường", "Street"],
  colAlert: ["Mức", "Level"],
  colOver20: ["P > 20 cm", "P > 20 cm"],
  colPeak0: ["Đỉnh", "Peak"],
  colPeak: ["Đỉnh (10–90 %)", "Peak (10–90 %)"],
  colOnset: ["Bắt đầu", "Onset"],
  colEnd: ["Hết", "End"],
  basins: ["Lưu vực", "Basins"],
  colBasin: ["Lưu vực", "Basin"],
  colStreets: ["Số đường", "Streets"],
  colP: ["Xác suất", "Probability"],
  rose: ["tăng từ", "up from"],
  fell: ["giảm từ", "down from"],
  standing: ["Nước đọng đo được", "Standing water measured"],
  flooded: ["điểm ngập", "flooded point"],
  gathered: ["tụ nước", "gathered water"],
  times: ["lần", "times"],
  standingRule: ["điểm ngập: còn {cm} cm sau khi hết mưa {min} phút; rút trước đó: tụ nước", "flooded point: {cm} cm still there {min} min after the rain; gone before: gathered water"],
  colClosed: ["Không qua được", "Cannot pass"],
  bus_truck: ["xe buýt, xe tải", "buses, trucks"],
  colCause: ["Do", "Cause"],
  cause_rain: ["mưa", "rain"],
  cause_tide: ["triều", "tide"],
  cause_both: ["mưa và triều", "rain and tide"],
  cause_pump_failure: ["bơm/cống hỏng", "pump or gate failure"],
  cause_unknown: ["chưa rõ", "not known"],
  now: ["đang ngập", "now"],
  expectedAt: ["dự báo ngập lúc", "water expected at"],
  legendExpected: ["Sắp ngập", "Expected"],

  sources: ["Nguồn dữ liệu", "Sources"],
  sourcesUp: ["hoạt động", "up"],
  silent: ["im lặng", "silent"],
  up: ["hoạt động", "up"],
  rejected: ["bị loại", "rejected"],
  lastSample: ["mẫu gần nhất", "last sample"],
  messages: ["bản tin", "messages"],
  source: ["Nguồn", "Source"],
  state: ["Trạng thái", "State"],
  since: ["từ", "since"],
  allWell: ["Mọi nguồn đều hoạt động, không có bản tin bị loại", "Every source is up, nothing was rejected"],
  showAll: ["Xem tất cả", "Show all"],
  showTroubled: ["Chỉ nguồn có vấn đề", "Troubled only"],

  commands: ["Nhật ký lệnh", "Command log"],
  noCommands: ["Chưa có lệnh nào", "No commands yet"],
  target: ["Thiết bị", "Target"],
  order: ["Lệnh", "Order"],
  by: ["Bởi", "By"],
  outcome: ["Kết quả", "Outcome"],
  refused: ["BỊ TỪ CHỐI", "REFUSED"],
  commanded: ["đã ra lệnh", "commanded"],
  sent: ["đã gửi", "sent"],
  accepted: ["thiết bị đã nhận", "accepted"],
  confirmed: ["đã thực hiện", "confirmed"],
  unconfirmed: ["KHÔNG XÁC NHẬN ĐƯỢC", "UNCONFIRMED"],
  expired: ["HẾT HẠN, KHÔNG GỬI", "EXPIRED, NOT SENT"],
  routine: ["gồm lệnh đèn tự động", "with automatic signal stages"],
  noRoutine: ["bỏ lệnh đèn tự động", "without automatic signal stages"],
  waiting: ["đang gửi…", "sending…"],
  taken: ["đã ghi vào nhật ký", "journalled"],
  notTaken: ["không được nhận", "not taken"],

  automatic: ["Tự động", "Automatic"],
  manual: ["Bằng tay", "Manual"],
  mode: ["Chế độ", "Mode"],
  manualFirst: ["Chuyển sang bằng tay để ra lệnh", "Take in manual to command"],
  run: ["Chạy", "Run"],
  stop: ["Dừng", "Stop"],
  running: ["đang chạy", "running"],
  stopped: ["đang dừng", "stopped"],
  flow: ["Lưu lượng", "Flow"],
  current: ["Dòng điện", "Current"],
  fault: ["Sự cố thiết bị", "Fault"],
  none: ["không", "none"],
  yes: ["có", "yes"],
  sump: ["Mực nước bể hút", "Sump level"],
  power: ["Công suất", "Power"],
  remote: ["Điều khiển từ xa", "Remote control"],
  local: ["tại chỗ", "local"],
  ownRules: ["PLC tự điều khiển", "PLC on its own rules"],
  pumps: ["Bơm", "Pumps"],
  openGate: ["Mở cống", "Open"],
  closeGate: ["Đóng cống", "Close"],
  opening: ["Độ mở", "Opening"],
  inside: ["Mực nước trong", "Inside"],
  outside: ["Mực nước ngoài", "Outside"],
  closing_m: ["Đóng khi ngoài ≥", "Closes when outside ≥"],
  startAt: ["Chạy khi ≥", "Starts at ≥"],
  stopAt: ["Dừng khi ≤", "Stops at ≤"],
  wanted: ["Đang chờ", "Wanted"],
  stage: ["Pha", "Stage"],
  interval: ["Trạng thái đèn", "Interval"],
  green: ["xanh", "green"],
  yellow: ["vàng", "yellow"],
  all_red: ["đỏ toàn phần", "all red"],
  flashing: ["nhấp nháy", "flashing"],
  darkSignal: ["tắt", "dark"],
  centre: ["trung tâm", "centre"],
  flash: ["nháy vàng", "flash"],
  controller: ["Tủ điều khiển", "Controller"],
  approaches: ["Hướng vào nút", "Approaches"],
  queue: ["hàng chờ", "queue"],
  veh: ["xe", "veh"],
  vehH: ["xe/giờ", "veh/h"],
  method: ["Cách điều khiển", "Method"],
  planner: ["thích nghi", "adaptive planner"],
  greedy: ["theo hàng chờ", "greedy, by queues"],
  fixed: ["thời gian cố định", "fixed times"],
  next: ["Pha kế", "Next"],
  inSeconds: ["sau", "in"],
  goesOn: ["giữ pha này", "goes on"],
  bestPlans: ["Vì sao:", "Why:"],
  costs: ["xe·giây chờ", "veh·s of waiting"],
  best: ["tốt nhất", "best"],
  secondBest: ["kế đó", "second"],
  noOther: ["không có pha nào khác", "there is no other stage"],
  hold: ["Giữ pha", "Hold"],
  advance: ["Sang pha kế", "Advance"],
  release: ["Trả tự động", "Release"],
  heldUntil: ["Đang giữ đến", "In hand until"],
  overrideFor: ["Trong", "For"],
  overMinutes: ["phút qua", "min"],
  colQueue: ["Chờ", "Queue"],
  colFlow: ["xe/h", "veh/h"],
  colOnGreen: ["Đến lúc xanh", "On green"],
  colSplits: ["Xả không hết", "Split fail."],
  colDelay: ["Trễ", "Delay"],
  arterial: ["Sóng xanh", "Green waves"],
  arterialHint: ["xanh của hướng thẳng trên mỗi nút; dải nối: ai đi đúng tốc độ giới hạn thì gặp xanh", "through greens at each junction; a band joins greens for those who drive at the limit"],
  goStage: ["Chuyển pha", "Go to stage"],
  text: ["Nội dung", "Text"],
  blank: ["(trống)", "(blank)"],
  showText: ["Hiện nội dung", "Show text"],
  level: ["Mức sáng", "Level"],
  depth: ["Độ sâu nước", "Water depth"],
  flood0: ["khô", "dry"],
  flood1: ["theo dõi", "watch"],
  flood2: ["cấm xe máy", "closed to motorbikes"],
  flood3: ["cấm ô tô", "closed to cars"],
  flood4: ["cấm mọi xe, trừ xe ưu tiên", "closed to all but emergency"],
  traffic: ["Giao thông", "Traffic"],
  traffic0: ["thông thoáng", "free"],
  traffic1: ["đông", "dense"],
  traffic2: ["chậm", "slow"],
  traffic3: ["ùn tắc", "jammed"],
  lanes: ["Làn", "Lanes"],
  limit: ["Giới hạn", "Limit"],
  lowPoint: ["Điểm thấp", "Low point"],
  closure: ["Đóng đường", "Closure"],
  stage_m: ["Mực nước", "Stage"],
  quality: ["Chất lượng", "Quality"],
  q0: ["tốt", "good"],
  q1: ["nghi ngờ", "uncertain"],
  q2: ["xấu", "bad"],
  q3: ["cũ", "stale"],
  asOf: ["lúc", "at"],
  rate: ["Tốc độ", "Rate"],
  perHour: ["/giờ", "/h"],
  recentCommands: ["Lệnh gần đây", "Recent commands"],
  related: ["Liên quan", "Related"],

  segment: ["đoạn đường", "road"],
  signal: ["đèn tín hiệu", "signal"],
  camera: ["camera", "camera"],
  pump: ["máy bơm", "pump"],
  station: ["trạm bơm", "pumping station"],
  gate: ["cống ngăn triều", "tide gate"],
  gauge_tide: ["trạm triều", "tide gauge"],
  gauge_level: ["trạm mực nước", "level gauge"],
  gauge_street: ["trạm ngập đường", "street gauge"],
  gauge_rain: ["trạm mưa", "rain gauge"],
  gauge_sewer: ["mực nước cống", "sewer gauge"],
  sign: ["biển báo", "message sign"],
  circuit: ["chiếu sáng", "lighting"],
  plc: ["PLC", "PLC"],

  legendFlood: ["Ngập (cm)", "Flood (cm)"],
  legendTraffic: ["Giao thông", "Traffic"],
  legendClosed: ["đóng", "closed"],
  legendProposed: ["đề nghị", "proposed"],
  find: ["Tìm", "Find"],
  findHint: ["Tên hoặc mã thiết bị, đường, camera…", "Name or id of an asset, road, camera…"],
  nothingFound: ["Không tìm thấy", "Nothing found"],
  help: ["Phím", "Keys"],
  helpTitle: ["Điều khiển bằng phím", "By keyboard"],
  keyMove: ["chọn cảnh báo", "choose an alarm"],
  keyMap: ["phóng to, thu nhỏ, toàn cảnh", "zoom in, out, whole city"],
  keyPan: ["dời bản đồ", "move the map"],
  keyLanguage: ["đổi ngôn ngữ", "switch language"],
  keyClose: ["đóng, bỏ chọn", "close, deselect"],
  keyUnshelve: ["bỏ gác", "unshelve"],
  keyReplay: ["xem lại mực nước", "replay the water"],
  keyYesNo: ["duyệt, từ chối đề nghị đầu tiên", "approve, decline the first proposal"],
  confirmPrompt: ["Xác nhận?", "Confirm?"],
  map: ["Bản đồ", "Map"],
  mapHelp: ["Bản đồ thành phố: phím mũi tên dời, +/− phóng to thu nhỏ", "City map: arrows move, +/− zoom"],

  replay: ["Xem lại mực nước", "Water replay"],
  replayMark: ["XEM LẠI", "REPLAY"],
  replayHint: ["mực nước, triều và cảnh báo đã ghi; không ra lệnh khi xem lại", "recorded water and tide; no commands during replay"],
  backToLive: ["Về hiện tại", "Back to now"],
  play: ["Phát", "Play"],
  pause: ["Dừng", "Pause"],
  now: ["hiện tại", "now"],

  EngineStarted: ["Trung tâm khởi động", "Engine started"],
  ReadingsReceived: ["Số đo nhận từ hiện trường", "Readings received"],
  ReadingsObserved: ["Số đo được chấp nhận", "Readings taken"],
  InundationChanged: ["Mức ngập thay đổi", "Inundation changed"],
  TideLevelChanged: ["Mức báo động triều", "Tide level changed"],
  InundationForecast: ["Dự báo ngập", "Flood forecast"],
  FloodAlertChanged: ["Mức cảnh báo ngập", "Flood alert"],
  BasinAlertChanged: ["Cảnh báo lưu vực", "Basin alert"],
  StandingWaterChanged: ["Nước đọng trên đường", "Standing water"],
  OutlookScored: ["Chấm dự báo độ sâu", "Forecast depths scored"],
  FloodAlertScored: ["Chấm cảnh báo ngập", "Flood alert scored"],
  ForecastIssued: ["Dự báo", "Forecast"],
  StagesPlanned: ["Kế hoạch đèn", "Stages planned"],
  SignalOverrideRequested: ["Điều hành viên giữ nút", "Operator's override"],
  ClosureProposed: ["Đề nghị đóng đường", "Closure proposed"],
  ClosureDecided: ["Điều hành viên quyết định", "Operator's decision"],
  ClosureWithdrawn: ["Thôi đóng đường", "Closure withdrawn"],
  PumpRequested: ["Yêu cầu bơm", "Pump requested"],
  GateRequested: ["Yêu cầu cống", "Gate requested"],
  StageRequested: ["Yêu cầu pha", "Stage requested"],
  SignRequested: ["Yêu cầu biển báo", "Sign requested"],
  LightingRequested: ["Yêu cầu chiếu sáng", "Lighting requested"],
  PumpCommanded: ["Lệnh bơm", "Pump commanded"],
  GateCommanded: ["Lệnh cống", "Gate commanded"],
  StageCommanded: ["Lệnh pha", "Stage commanded"],
  SignCommanded: ["Lệnh biển báo", "Sign commanded"],
  LightingCommanded: ["Lệnh chiếu sáng", "Lighting commanded"],
  CommandRefused: ["Khoá liên động từ chối", "Refused by interlock"],
  AlarmRaised: ["Cảnh báo", "Alarm raised"],
  IncidentDetected: ["Camera phát hiện", "Incident detected"],
  SignalsObserved: ["Trạng thái đèn", "Signals observed"],
  TrafficMeasured: ["Camera đo giao thông", "Traffic measured"],
  RoadWaterMeasured: ["Camera tìm dấu hiệu ngập", "Signs of water measured"],
  Tick: ["Nhịp thời gian", "Tick"],
};

function kept() {
  try {
    return localStorage.getItem(KEPT) === "en" ? "en" : "vi";
  } catch {
    return "vi"; // storage may be forbidden; the choice then lasts as long as the page
  }
}

export const language = signal(kept());

export function switchLanguage() {
  language.value = language.value === "vi" ? "en" : "vi";
  document.documentElement.lang = language.value;
  try {
    localStorage.setItem(KEPT, language.value);
  } catch {
    // see above
  }
}

// A word of the table in the language of the moment; a key that is not in it is shown as it is.
export function t(key) {
  const word = WORDS[key];
  return word ? word[language.value === "vi" ? 0 : 1] : key;
}

const numbers = new Map();

// A number with so many digits after the decimal sign; a dash where there is none.
export function num(value, digits = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const key = `${language.value}${digits}`;
  if (!numbers.has(key)) {
    const locale = language.value === "vi" ? "vi-VN" : "en-GB";
    const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    numbers.set(key, new Intl.NumberFormat(locale, form));
  }
  return numbers.get(key).format(value);
}

export const cm = (metres) => (metres === null || metres === undefined ? "–" : num(Math.round(metres * 100)));

let zone = "Asia/Ho_Chi_Minh";
let clocks = null;

export function setTimezone(name) {
  zone = name;
  clocks = null;
}

// Seconds since the Unix epoch as the city's clock shows them.
export function clock(seconds, withSeconds = true) {
  if (!seconds) return "–";
  if (!clocks) {
    const form = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone };
    clocks = {
      long: new Intl.DateTimeFormat("en-GB", { ...form, second: "2-digit" }),
      short: new Intl.DateTimeFormat("en-GB", form),
      day: new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "2-digit", year: "numeric", timeZone: zone }),
    };
  }
  return (withSeconds ? clocks.long : clocks.short).format(seconds * 1000);
}

export function day(seconds) {
  clock(seconds);
  return clocks && seconds ? clocks.day.format(seconds * 1000) : "";
}

// A span of time, short: 0,4 s · 12 s · 3′ · 2 giờ.
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.max(0, seconds);
  if (s < 10) return `${num(s, 1)} s`;
  if (s < 120) return `${num(s)} s`;
  if (s < 7200) return `${num(Math.round(s / 60))}′`;
  return `${num(s / 3600, 1)} ${t("hours")}`;
}
