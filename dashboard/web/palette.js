// The wall's inks. Grey is normal; a colour says that something is not (ISA-101). Kept equal to style.css by hand:
// a canvas cannot read custom properties cheaply.
export const TEXT = "#1d2327";
export const SOFT = "#5a6268";
export const FAINT = "#868d93";
export const HALO = "rgba(214, 217, 219, 0.92)";
export const PAPER = "#ffffff";
export const PRIORITY = { 1: "#c4122f", 2: "#e36a0a", 3: "#efc02c", 4: "#7a3e9d" };
export const FLOOD = ["#8b949a", "#efc02c", "#e36a0a", "#c4122f", "#5b0a1e"];
export const TRAFFIC = ["", "#efc02c", "#e36a0a", "#b5122b"];
export const CLOSED = "#5b0a1e";
export const NETWORK = "#5b7f96"; // drainage: nothing that anyone has to act on
export const SELECT = "#0f3f63";
export const FONT = '"Noto Sans", Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
export const font = (px, weight = 400) => `${weight} ${px}px ${FONT}`;
