// The QR code of an unpaired page: its text is an attribute of the element around the canvas. A former account
// in the storage does not matter, only one that this document has paired.
let qr = null;
let qrCount = 0;

const renewQr = (element) => {
  if (qr !== element) return;
  qrCount += 1;
  element.setAttribute("data-ref", `${plan.qr_prefix}${plan.round}.${plan.load}.${qrCount}`);
  native.later(() => renewQr(element), millis(plan.qr_interval));
};

const updateQr = () => {
  const isDue = hasRequire && boot.done && shown().state === "UNPAIRED" && own.me === null;
  if (isDue && !qr) {
    qr = document.createElement("div");
    qr.setAttribute("data-testid", "link-device-qr-code");
    qr.append(document.createElement("canvas"));
    renewQr(qr);
    document.body.append(qr);
  } else if (!isDue && qr) {
    qr.remove();
    qr = null;
  }
};
