// The stage of vglab's widgets: controls, a picture on a canvas, and a sentence that says what it shows.
//
// One file, two users. In a notebook anywidget calls render({model, el}); a static page calls mount(el, still) with
// the frames that travel along. What is drawn comes from recorder.py: shapes in pixels of the figure.

const EIGHTHS = 8, PEN_UP = -32768;
const FAMILY = '"Inter of vglab", "Inter", "DejaVu Sans", sans-serif';

// ---------------------------------------------------------------- shapes

const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const numbers = text => new Int16Array(bytes(text).buffer);
const inflate = packed => new Response(
  new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();

function trace(points, x = 0, y = 0) {
  const path = new Path2D();
  for (let i = 0, up = true; i < points.length; i += 2) {
    if (points[i] === PEN_UP) { up = true; continue; }
    path[up ? "moveTo" : "lineTo"](points[i] / EIGHTHS + x, points[i + 1] / EIGHTHS + y);
    up = false;
  }
  return path;
}

function paint(ctx, shape, colour) {
  ctx.save();
  if (shape.clip) { ctx.beginPath(); ctx.rect(...shape.clip); ctx.clip(); }
  if (shape.ink) ctx.strokeStyle = colour(shape.ink);
  if (shape.fill) ctx.fillStyle = colour(shape.fill);
  if (shape.width) {
    ctx.lineWidth = shape.width;
    ctx.lineCap = shape.cap;
    ctx.lineJoin = "round";
    ctx.setLineDash(shape.dash || []);
  }
  PAINTERS[shape.kind](ctx, shape, colour);
  ctx.restore();
}

const outline = (ctx, shape, path) => {
  if (shape.fill) ctx.fill(path);
  if (shape.ink) ctx.stroke(path);
};

const PAINTERS = {
  path(ctx, shape, colour) {
    const path = trace(numbers(shape.at));
    outline(ctx, shape, path);
    if (!shape.hatch) return;
    const { at, side, ink, width } = shape.hatch, tile = trace(numbers(at));
    const { canvas } = ctx, scale = ctx.getTransform().a;
    ctx.clip(path);
    [ctx.strokeStyle, ctx.lineWidth] = [colour(ink), width];
    for (let x = 0; x < canvas.width / scale; x += side) {
      for (let y = 0; y < canvas.height / scale; y += side) {
        ctx.save();
        ctx.translate(x, y);
        ctx.stroke(tile);
        ctx.restore();
      }
    }
  },
  marks(ctx, shape) {
    const places = numbers(shape.at), around = numbers(shape.shape);
    for (let i = 0; i < places.length; i += 2) {
      outline(ctx, shape, trace(around, places[i] / EIGHTHS, places[i + 1] / EIGHTHS));
    }
  },
  words(ctx, shape, colour) {
    ctx.font = `${shape.bold ? 600 : 400} ${shape.size}px ${FAMILY}`;
    ctx.fillStyle = colour(shape.ink);
    ctx.translate(shape.x, shape.y);
    if (shape.angle) ctx.rotate(-shape.angle * Math.PI / 180);
    ctx.fillText(shape.text, 0, 0);
  },
  image(ctx, shape) {
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(shape.bitmap, ...shape.box);
  },
};

// An image's cells must be unpacked before they can be drawn; everything else is ready as it comes.
async function unpack(shapes) {
  for (const shape of shapes.filter(shape => shape.kind === "image" && !shape.bitmap)) {
    const cells = new Uint8ClampedArray(await inflate(bytes(shape.rgba)));
    shape.bitmap = await createImageBitmap(new ImageData(cells, ...shape.cells));
  }
  return shapes;
}

// Everything in a table of frames, made ready to be drawn.
async function unpackTable(table) {
  const frames = table ? [...table.frames, ...table.presets].map(frame => frame.shapes) : [];
  await Promise.all([...frames, ...(table?.stills || [])].map(unpack));
  return table || null;
}

// ---------------------------------------------------------------- the picture

class Picture {
  constructor(size, dark) {
    this.canvas = element("canvas", { class: "vg-picture", role: "img" });
    this.size = size;
    this.dark = dark;  // from colours on white to colours on the dark ground
    this.still = this.moving = [];
    this.background = null;
    new ResizeObserver(() => this.refresh()).observe(this.canvas);
    const themes = new MutationObserver(() => setTimeout(() => this.refresh(), 300));  // after the style sheets' change
    for (const node of [document.documentElement, document.body]) themes.observe(node, { attributes: true });
  }

  colour = code => {
    const plain = code.slice(0, 7);
    return isDark(this.canvas) && plain in this.dark ? this.dark[plain] + code.slice(7) : code;
  };

  setStill(shapes) { this.still = shapes; this.background = null; }

  // Paint at the resolution of the screen; what does not move is kept as an image of that size.
  refresh() {
    const scale = (this.canvas.clientWidth || this.size[0]) / this.size[0] * (window.devicePixelRatio || 1);
    const theme = isDark(this.canvas);
    if (!this.background || this.scale !== scale || this.theme !== theme) {
      [this.scale, this.theme] = [scale, theme];
      this.background = new OffscreenCanvas(...this.size.map(side => Math.round(side * scale)));
      this.draw(this.background.getContext("2d"), this.still, this.colour("#ffffff"));
      [this.canvas.width, this.canvas.height] = [this.background.width, this.background.height];
    }
    const ctx = this.canvas.getContext("2d");
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.drawImage(this.background, 0, 0);
    this.draw(ctx, this.moving);
  }

  draw(ctx, shapes, ground) {
    ctx.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    if (ground) { ctx.fillStyle = ground; ctx.fillRect(0, 0, ...this.size); }
    for (const shape of shapes) paint(ctx, shape, this.colour);
  }
}

// The ground that the picture lies on decides, whoever coloured it: Jupyter, a site, a slide.
function isDark(node) {
  for (; node; node = node.parentElement) {
    const parts = getComputedStyle(node).backgroundColor.match(/[\d.]+/g) || [];  // none before it is on the page
    const [r = 0, g = 0, b = 0, alpha = parts.length ? 1 : 0] = parts.map(Number);
    if (alpha > 0.5) return 0.2126 * r + 0.7152 * g + 0.0722 * b < 110;
  }
  return false;
}

// ---------------------------------------------------------------- controls

function element(tag, attributes = {}, ...inside) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...inside);
  return node;
}

// A row with a label and a native control. The label follows the state; arrow keys are the control's, not the notebook's.
function control(parameter, moved) {
  const id = `vg-${Math.random().toString(36).slice(2)}`, words = element("label", { for: id });
  const input = parameter.options
    ? element("select", { id }, ...parameter.options.map(([value, text]) => element("option", { value }, text)))
    : element("input", { id, type: "range", min: 0, max: parameter.positions.length - 1, step: 1 });
  input.dataset.lmSuppressShortcuts = "true";
  input.title = `in code: w.${parameter.name} = ...`;
  input.addEventListener("input", () => moved(
    parameter.name, parameter.options ? input.value : parameter.positions[Number(input.value)]));
  return {
    row: element("div", { class: "vg-control" }, words, input),
    input,
    show(value, text, late) {
      words.textContent = text;
      if (!parameter.options) input.setAttribute("aria-valuetext", text);
      if (late) return;
      const place = parameter.options ? value : String(nearest(parameter.positions, value));
      if (input.value !== place) input.value = place;
    },
  };
}

const nearest = (positions, value) => positions.reduce(
  (best, position, i) => Math.abs(position - value) < Math.abs(positions[best] - value) ? i : best, 0);

class Stage {
  constructor(el, plan, send) {
    this.plan = plan;
    this.table = null;  // what was computed beforehand, once it is unpacked
    this.send = send;  // asks whoever computes: send({set: {...}}), send({reset: true})
    this.picture = new Picture(plan.size, plan.dark);
    this.controls = Object.fromEntries(plan.parameters.map(p => [p.name, control(p, (n, v) => this.moved(n, v))]));
    this.sentence = element("div", { class: "vg-sentence", role: "status" });
    this.note = element("div", { class: "vg-note" });
    this.progress = element("progress", { max: 1, value: 0, hidden: "" });
    this.left = element("span", { class: "vg-note" });
    this.actions = element("div", { class: "vg-buttons vg-actions" });
    const buttons = plan.presets.map(([words, params]) => this.button(words, () => send({ set: params })));
    buttons.push(this.button("Reset", () => send({ reset: true })), this.presenter());
    this.root = element("div", { class: "vg-stage" },
      element("div", { class: "vg-buttons" }, ...buttons),
      this.actions,
      element("div", { class: "vg-controls" }, ...Object.values(this.controls).map(c => c.row)),
      this.picture.canvas, this.sentence, this.note);
    this.root.addEventListener("keydown", event => this.key(event));
    el.append(this.root);
    fonts(plan.fonts).then(() => { this.picture.background = null; this.picture.refresh(); });
  }

  button(words, action) {
    const node = element("button", { type: "button" }, words);
    node.addEventListener("click", action);
    return node;
  }

  // Large type and the picture alone, for a room: Escape leaves, N or the space bar takes the next preset.
  presenter() {
    const node = this.button("Present", () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else this.root.requestFullscreen();
    });
    document.addEventListener("fullscreenchange", () => {
      this.root.classList.toggle("vg-presented", document.fullscreenElement === this.root);
      this.picture.refresh();
    });
    return node;
  }

  key(event) {
    if (!this.root.classList.contains("vg-presented") || event.key.toLowerCase() !== "n") return;
    this.preset = ((this.preset ?? -1) + 1) % this.plan.presets.length;
    this.send({ set: this.plan.presets[this.preset][1] });
    event.preventDefault();
  }

  // A position that was computed beforehand is shown at once; whoever computes hears of it in any case.
  moved(name, value) {
    const frame = this.frame(name, value);
    if (frame) this.show(frame, this.table.stills[frame.still]);
    this.send({ set: { [name]: value }, changed: name });
  }

  frame(name, value) {
    const { table } = this;
    if (!table || name !== table.name) return null;
    const others = Object.entries(table.frames[0].params).filter(([other]) => other !== name);
    if (!others.every(([other, set]) => this.params[other] === set)) return null;
    const { positions, options } = this.plan.parameters.find(p => p.name === name);
    return table.frames[options ? options.findIndex(([option]) => option === value) : nearest(positions, value)];
  }

  // state: {params, labels, sentence, note, shapes}; still: the shapes of what does not move. An answer that is late
  // leaves the controls alone: someone is dragging one of them.
  show(state, still, late = false) {
    this.params = state.params;
    if (this.picture.still !== still) this.picture.setStill(still);
    this.picture.moving = state.shapes;
    this.picture.refresh();
    for (const [name, value] of Object.entries(state.params)) {
      this.controls[name].show(value, state.labels[name], late);
    }
    this.showStatus(state.actions || [], state.progress);
    this.picture.canvas.setAttribute("aria-label", state.sentence);
    this.sentence.textContent = state.sentence;
    this.note.textContent = state.note;
  }

  // What goes on by itself: its buttons, [name, words, whether it can be pressed], and how far it is, [share, words].
  showStatus(actions, progress) {
    while (this.actions.children.length < actions.length) {
      const [name] = actions[this.actions.children.length];
      this.actions.append(this.button("", () => this.send({ act: name })));
    }
    actions.forEach(([, words, enabled], i) => {
      const button = this.actions.children[i];
      if (button.textContent !== words) button.textContent = words;
      button.setAttribute("aria-disabled", !enabled);  // disabled, it would lose the focus
    });
    if (!progress) return;
    this.actions.append(this.progress, this.left);
    this.progress.hidden = false;
    this.progress.value = progress[0];
    this.progress.setAttribute("aria-label", progress[1]);
    this.left.textContent = progress[1];
  }
}

let loaded = null;
function fonts(files) {
  loaded ||= Promise.all(Object.entries(files).map(async ([weight, file]) => {
    document.fonts.add(await new FontFace("Inter of vglab", bytes(file), { weight }).load());
  })).catch(() => {});
  return loaded;
}

// ---------------------------------------------------------------- in a notebook

function render({ model, el }) {
  let waiting = false, next = null;
  const ask = message => {
    if (waiting) { next = merge(next, message); return; }
    waiting = true;
    model.send(message);
  };
  const stage = new Stage(el, model.get("plan"), ask);
  const show = async () => {
    const [state, still] = [model.get("state"), model.get("still")];
    await Promise.all([unpack(state.shapes), unpack(still)]);
    if (next && stage.table) return;  // the browser is further already
    stage.show(state, still, Boolean(next));
  };
  const answered = () => {
    waiting = false;
    if (next) { const message = next; next = null; ask(message); }
  };
  model.on("change:state", show);
  model.on("msg:custom", answered);
  show();
  unpackTable(model.get("plan").table).then(table => { stage.table = table; });
  return () => { model.off("change:state", show); model.off("msg:custom", answered); };
}

const merge = (before, now) => before?.set && now.set ? { ...now, set: { ...before.set, ...now.set } } : now;

// ---------------------------------------------------------------- on a page without a kernel

const unfold = async packed => JSON.parse(new TextDecoder().decode(await inflate(bytes(packed))));

// still: {plan, state, still} as in a notebook, and in the plan's table what was computed when the page was made.
async function mount(el, { plan, state, still }) {
  const [table] = await Promise.all([unpackTable(plan.table), unpack(still), unpack(state.shapes)]);
  const answer = message => {
    if (message.reset) stage.show(state, still);
    const preset = plan.presets.findIndex(([, params]) => params === message.set);
    if (preset >= 0) stage.show(table.presets[preset], table.stills[table.presets[preset].still]);
  };
  el.replaceChildren();
  const stage = new Stage(el, plan, answer);
  stage.table = table;
  stage.show(state, still);
  for (const parameter of plan.parameters.filter(p => p.name !== table.name)) {
    stage.controls[parameter.name].input.disabled = true;
    stage.controls[parameter.name].input.title = "moves in a running notebook only";
  }
}

export default { render, mount };
