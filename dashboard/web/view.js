// Decides where on the screen a place is: Web Mercator with a centre and a zoom (512-pixel tiles, as MapLibre).
const TILE = 512;
const EARTH_M = 40075016.686;
const ZOOM_MIN = 11;
const ZOOM_MAX = 18.5;

export const mercX = (lon) => (lon + 180) / 360;
export const mercY = (lat) => 0.5 - Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / (2 * Math.PI);
const lonOf = (x) => x * 360 - 180;
const latOf = (y) => (Math.atan(Math.exp((0.5 - y) * 2 * Math.PI)) * 360) / Math.PI - 90;

export class View {
  constructor() {
    this.x = 0.5;
    this.y = 0.5;
    this.zoom = 12;
    this.width = 1;
    this.height = 1;
    this.home = { x: 0.5, y: 0.5, zoom: 12 };
    this.bounds = null;
  }

  get scale() {
    return TILE * 2 ** this.zoom;
  }

  get center() {
    return [lonOf(this.x), latOf(this.y)];
  }

  // Pixels of the screen in a metre at the view's latitude.
  get pxPerM() {
    return this.scale / (EARTH_M * Math.cos((latOf(this.y) * Math.PI) / 180));
  }

  // How far in we are: 0 with the whole city on the screen.
  get depth() {
    return this.zoom - this.home.zoom;
  }

  project(lon, lat) {
    const scale = this.scale;
    return [
      (mercX(lon) - this.x) * scale + this.width / 2,
      (mercY(lat) - this.y) * scale + this.height / 2,
    ];
  }

  resize(width, height) {
    const whole = this.depth === 0;
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    if (this.bounds) this.fit(this.bounds, whole);
  }

  // The zoom at which all of the city is seen; goes there with `move`.
  fit(bounds, move = true) {
    const [west, south, east, north] = bounds;
    this.bounds = bounds;
    const [x0, x1, y0, y1] = [mercX(west), mercX(east), mercY(north), mercY(south)];
    const pad = this.width < 600 ? 12 : 26;
    const scale = Math.min((this.width - 2 * pad) / (x1 - x0), (this.height - 2 * pad) / (y1 - y0));
    const zoom = Math.log2(Math.max(scale, 1) / TILE);
    this.home = { x: (x0 + x1) / 2, y: (y0 + y1) / 2, zoom };
    if (move) this.goHome();
  }

  goHome() {
    Object.assign(this, this.home);
  }

  goTo([lon, lat], zoom = this.zoom) {
    this.x = mercX(lon);
    this.y = mercY(lat);
    this.zoom = Math.min(ZOOM_MAX, Math.max(this.zoomMin, zoom));
    this.hold();
  }

  get zoomMin() {
    return Math.min(this.home.zoom, ZOOM_MIN + 3);
  }

  moveBy(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.hold();
  }

  // Zoom with a point of the screen held where it is.
  zoomAt(px, py, by) {
    const before = this.scale;
    const fx = this.x + (px - this.width / 2) / before;
    const fy = this.y + (py - this.height / 2) / before;
    this.zoom = Math.min(ZOOM_MAX, Math.max(this.zoomMin, this.zoom + by));
    const after = this.scale;
    this.x = fx - (px - this.width / 2) / after;
    this.y = fy - (py - this.height / 2) / after;
    this.hold();
  }

  // Keep the centre over the city.
  hold() {
    if (!this.bounds) return;
    const [west, south, east, north] = this.bounds;
    this.x = Math.min(mercX(east), Math.max(mercX(west), this.x));
    this.y = Math.min(mercY(south), Math.max(mercY(north), this.y));
  }
}

export function boundsOf(site) {
  let [west, south, east, north] = [180, 90, -180, -90];
  const take = ([lon, lat]) => {
    west = Math.min(west, lon);
    east = Math.max(east, lon);
    south = Math.min(south, lat);
    north = Math.max(north, lat);
  };
  for (const segment of site.segments) segment.line.forEach(take);
  for (const list of [site.gauges, site.gates, site.stations]) list.forEach((thing) => take(thing.at));
  if (west > east) site.nodes.forEach((node) => take(node.at)); // a drainage network alone
  return [west, south, east, north];
}
