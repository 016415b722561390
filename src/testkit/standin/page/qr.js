// The QR code of an unpaired page: its text is an attribute of the element around the canvas. Once the code has
// expired the element stays, with a button that asks for a new one. A former account in the storage does not
// matter, only one that this document has paired.
let qr = null;
let qrCount = 0;

// Each text gives another pattern. It is no real QR code.
const drawQr = (canvas, text) => {
  const [cells, cell] = [33, 8];
  canvas.width = canvas.height = cells * cell;
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "black";
  let seed = 1;
  for (let i = 0; i < text.length; i += 1) seed = (seed * 31 + text.charCodeAt(i)) % 2147483647;
  for (let i = 0; i < cells * cells; i += 1) {
    seed = (seed * 48271) % 2147483647;
    if (seed % 2) context.fillRect((i % cells) * cell, Math.floor(i / cells) * cell, cell, cell);
  }
};

const renewQr = (element) => {
  if (qr !== element || element.querySelector("button")) return;
  qrCount += 1;
  const text = `${plan.qr_prefix}${plan.round}.${plan.load}.${qrCount}`;
  if (plan.qr_form === "text") element.setAttribute("data-ref", text);
  drawQr(element.querySelector("canvas"), text);
  native.later(() => renewQr(element), millis(plan.qr_interval));
};

const removeQr = () => {
  qr?.remove();
  qr = null;
};

const showQr = () => {
  removeQr();
  qr = document.createElement("div");
  qr.setAttribute("data-testid", "link-device-qr-code");
  const canvas = document.createElement("canvas");
  if (plan.qr_form === "sealed") {
    canvas.toDataURL = () => {
      throw new native.Error("Tainted canvases may not be exported.");
    };
  }
  qr.append(canvas);
  renewQr(qr);
  document.body.append(qr);
};

const expireQr = () => {
  const button = document.createElement("button");
  button.textContent = "Reload";
  button.addEventListener("click", () => happen(() => setLink({ state: "UNPAIRED" })));
  const span = document.createElement("span");
  span.append(button);
  qr.append(span);
};

const updateQr = () => {
  const isUnlinked = hasRequire && boot.done && own.me === null;
  const state = isUnlinked ? shown().state : null;
  const hasExpired = qr?.querySelector("button") != null;
  if (state === "UNPAIRED") {
    if (!qr || hasExpired) showQr();
  } else if (state === "UNPAIRED_IDLE") {
    if (qr && !hasExpired) expireQr();
  } else {
    removeQr();
  }
};
