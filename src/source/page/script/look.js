// Body of one look: evaluates every reader row and returns one envelope. scripts.rs fills in `__ROWS__`,
// and declares before it `NAMES`, WhatsApp's present names for the guards, and `bootedDocument`: the document
// that counts as booted because it has been complete for long enough, by its `performance.timeOrigin`, or null,
// and `wantsDetails`: whether it is for a diagnosis, and `wantsQr`: whether it is for the QR code.
//
// The page is hostile input: it may have replaced any built-in, its getters may throw, its objects may be
// Proxies. So nothing here calls a method of a built-in, every access to the page has its own try, and the
// result is made of prototype-less objects and primitives of bounded length, which no `toJSON` reaches.
//
// A look starts nothing on the page: `require` runs modules that have not run yet, so it waits for the boot.
const MAX = 256;
const guarded = (read) => {
  try {
    return { __proto__: null, value: read() };
  } catch {
    return { __proto__: null, threw: true };
  }
};
// The envelope in one string: a wait compares it with the one before.
let mark = '';
const note = (value) => {
  mark += typeof value === 'object' ? (value === null ? '|' : '|#') : '|' + value;
};
// Half a surrogate pair cannot be sent as JSON.
const wellFormed = (value) => {
  let clean = '';
  for (let i = 0; i < value.length; i += 1) {
    const unit = value[i];
    const next = value[i + 1];
    if (unit < '\ud800' || unit > '\udfff') clean += unit;
    else if (unit <= '\udbff' && next >= '\udc00' && next <= '\udfff') {
      clean += unit + next;
      i += 1;
    } else clean += '\ufffd';
  }
  return clean;
};
const text = (value) => {
  if (typeof value !== 'string') return null;
  return value.length > MAX ? { __proto__: null, length: value.length } : wellFormed(value);
};
const field = (object, name) => {
  const { value } = guarded(() => object[name]);
  return typeof value === 'string' ? value : undefined;
};
// A Wid is a string, or an object with `_serialized`, or with `user` and perhaps `server`.
const wid = (value) => {
  if (value === null) return { __proto__: null, nobody: true };
  if (typeof value !== 'object') return { __proto__: null, jid: text(value) };
  const serialized = field(value, '_serialized');
  if (serialized) return { __proto__: null, jid: text(serialized) };
  const user = field(value, 'user');
  const server = field(value, 'server');
  if (user && user.length <= MAX && server && server.length <= MAX) {
    return { __proto__: null, jid: text(user + '@' + server) };
  }
  return { __proto__: null, user: text(user) };
};

// The value of a global, by its path.
const follow = (path) => {
  let value = window;
  for (let i = 0; i < path.length; i += 1) value = value[path[i]];
  return value;
};
const holds = (test) => guarded(test).value === true;
const stored = (key) => {
  const { value } = guarded(() => window.localStorage[key]);
  // Keys that logout preserves hold the text `null` if they were never set.
  return typeof value === 'string' && value !== '' && value !== 'null' ? value : undefined;
};
const logoutMark = stored(NAMES.logout_key);
const storage = {
  __proto__: null,
  noise: stored(NAMES.noise_key) !== undefined,
  me: stored(NAMES.number_key) !== undefined,
  postLogout: logoutMark === '1' || logoutMark === '"1"',
};

const { value: timeOrigin } = guarded(() => performance.timeOrigin);
const thisDocument = typeof timeOrigin === 'number' ? '' + timeOrigin : '';
const hasRequire = holds(() => typeof window.require === 'function');
const isCurrent = hasRequire || (storage.noise && !holds(() => window.Store.Conn != null));
const hasQrCode = holds(() => document.querySelector('[data-ref]') != null);
const isBooted =
  holds(() => follow(NAMES.boot_marker) != null) ||
  holds(() => window.Store != null) ||
  holds(() => window.WPP.isReady === true) ||
  hasQrCode ||
  (hasRequire && thisDocument === bootedDocument);

const mod = (name) => (hasRequire && isBooted ? guarded(() => window.require(name)).value : undefined);
const socket = guarded(() => mod(NAMES.socket_module)[NAMES.socket]).value;
const state = text(guarded(() => socket[NAMES.socket_state]).value);
const { value: flag } = guarded(() => socket[NAMES.socket_synced]);
const synced = typeof flag === 'boolean' ? flag : null;
const { value: verdict, threw: registrationThrew } = guarded(() =>
  mod(NAMES.registration_module)[NAMES.registration_test](),
);
const registered = typeof verdict === 'boolean' ? verdict : null;

const ABSENT = { __proto__: null };
const has = (object, method) => object != null && typeof object[method] === 'function';
const call = (object, method) => (has(object, method) ? (object[method]() ?? null) : ABSENT);
const read = (object, name) => (object == null ? ABSENT : (object[name] ?? ABSENT));
// For getters that memoise, `nobody` included: asked too early, they would say so until the
// page reloads. Their null is no answer.
const mayMemoise = storage.me || state === 'CONNECTED' || !isCurrent;
const memo = (object, method) => (mayMemoise && has(object, method) ? (object[method]() ?? ABSENT) : ABSENT);
// A reader of the caller's. It may memoise, and may start what it requires.
const custom = (number, lid) =>
  isBooted && mayMemoise ? [() => number() ?? ABSENT, () => lid() ?? ABSENT] : [];
const either = (first, second) => {
  const { value, threw } = guarded(first);
  return threw || value === ABSENT ? second() : value;
};
// The getters of an account under all the names that they have had, the one that does not memoise first. If
// the number has a getter of its own, the older one may give the LID and is not asked.
const me = mod('WAWebUserPrefsMeUser');
const hasPn = (object) => holds(() => has(object, 'getMaybeMeDevicePn') || has(object, 'getMaybeMePnUser'));
const account = (object, ask) => {
  if (hasPn(object)) {
    return [
      () => either(() => ask(object, 'getMaybeMeDevicePn'), () => memo(object, 'getMaybeMePnUser')),
      () => either(() => ask(object, 'getMaybeMeDeviceLid'), () => memo(object, 'getMaybeMeLidUser')),
    ];
  }
  if (hasPn(me)) return [];
  return [() => ask(object, has(object, 'getMaybeMeUser') ? 'getMaybeMeUser' : 'getMeUser')];
};
const wpp = guarded(() => (window.WPP.isReady === true ? window.WPP.conn : undefined)).value;

const ROWS = __ROWS__;
const rows = { __proto__: null };
for (let i = 0; i < ROWS.length; i += 1) {
  const row = { __proto__: null };
  const getters = guarded(ROWS[i]).value ?? [];
  for (let k = 0; k < getters.length; k += 1) {
    const { value, threw } = guarded(getters[k]);
    if (threw) row.threw = true;
    else if (value !== ABSENT) row[k === 0 ? 'number' : 'lid'] = wid(value);
  }
  rows[i] = row;
  note(row.number?.jid ?? row.number?.user ?? row.number?.nobody);
  note(row.lid?.jid ?? row.lid?.user ?? row.lid?.nobody);
}

const conn = guarded(() => mod('WAWebConnModel').Conn).value;
const origin = text(window.location.origin);
const isLoaded = holds(() => document.readyState === 'complete');
const details = () => ({
  __proto__: null,
  hasRequire,
  hasBootMarker: holds(() => follow(NAMES.boot_marker) != null),
  hasRegistrationModule: mod(NAMES.registration_module) != null,
  hasRegistrationTest: holds(() => has(mod(NAMES.registration_module), NAMES.registration_test)),
  registrationThrew: registrationThrew === true,
  hasSocketModule: mod(NAMES.socket_module) != null,
  hasMeModule: me != null,
  hasConnModule: conn != null,
  hasLidKey: stored(NAMES.lid_key) !== undefined,
  hasLogoutKey: logoutMark !== undefined,
  hasStore: holds(() => window.Store != null),
  hasStoreConn: holds(() => window.Store.Conn != null),
  hasStoreUser: holds(() => window.Store.User != null),
  hasStoreMe: holds(() => window.Store.Me != null),
  hasWpp: holds(() => window.WPP != null),
  version: text(guarded(() => follow(NAMES.boot_marker)).value),
  wppVersion: text(guarded(() => window.WPP.version).value),
  getters: {
    __proto__: null,
    getMaybeMePnUser: holds(() => has(me, 'getMaybeMePnUser')),
    getMaybeMeLidUser: holds(() => has(me, 'getMaybeMeLidUser')),
    getMaybeMeDevicePn: holds(() => has(me, 'getMaybeMeDevicePn')),
    getMaybeMeDeviceLid: holds(() => has(me, 'getMaybeMeDeviceLid')),
    getMaybeMeUser: holds(() => has(me, 'getMaybeMeUser')),
    getMeUser: holds(() => has(me, 'getMeUser')),
  },
});
// The QR code: its text, or else the data of its canvas, or neither if they are too long or cannot be read. Older
// pages put a button into its element once the code has expired.
const QR_TEXT = 4096;
const QR_PICTURE = 49152;
const QR_SIDE = 1024;
const bounded = (read, max) => {
  const { value } = guarded(read);
  return typeof value === 'string' && value !== '' && value.length <= max ? wellFormed(value) : null;
};
const qrCode = () => {
  const find = (parent, selector) => guarded(() => parent.querySelector(selector)).value ?? null;
  const element = find(document, '[data-ref]') ?? find(document, '[data-testid="link-device-qr-code"]');
  const canvas = find(element ?? document, 'canvas');
  const { value: side } = guarded(() => (canvas.width === canvas.height ? canvas.width : 0));
  const isDrawn = typeof side === 'number' && side > 0 && side <= QR_SIDE;
  const { value: box } = guarded(() => (canvas ?? element).getBoundingClientRect());
  const number = (read) => {
    const { value } = guarded(read);
    return typeof value === 'number' ? value : null;
  };
  const qrText = bounded(() => element.getAttribute('data-ref'), QR_TEXT);
  return {
    __proto__: null,
    isShown: element !== null || isDrawn,
    hasButton: element !== null && find(element, 'button') !== null,
    text: qrText,
    picture: qrText === null && isDrawn ? bounded(() => canvas.toDataURL('image/png'), QR_PICTURE) : null,
    area: {
      __proto__: null,
      x: number(() => box.x + window.scrollX),
      y: number(() => box.y + window.scrollY),
      width: number(() => box.width),
      height: number(() => box.height),
    },
  };
};
note(origin);
note(thisDocument);
note(isLoaded);
note(isBooted);
note(hasQrCode);
note(isCurrent);
note(registered);
note(socket == null);
note(state);
note(synced);
note(storage.noise);
note(storage.me);
note(storage.postLogout);
return {
  __proto__: null,
  mark,
  origin,
  document: thisDocument,
  rows,
  socket: socket == null ? null : { __proto__: null, state, synced },
  registered,
  storage,
  isCurrent,
  isBooted,
  isLoaded,
  hasQrCode,
  isErrorPage: window.location.protocol === 'chrome-error:',
  isHidden: holds(() => document.hidden),
  pushName: text(guarded(() => conn.pushname).value),
  platform: text(guarded(() => conn.platform).value),
  details: wantsDetails ? details() : null,
  qr: wantsQr ? qrCode() : null,
};
