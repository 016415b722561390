// Removes what ChromeDriver has put into a page that another program drives: `cdc_<22 characters>_<built-in>`,
// which it puts into every document, and `ret_nodes`, an array that its wrapper leaves behind once a script
// has returned: hence the timer. Names that only look like those are the owner's. An owner who also drives the
// page by a ChromeDriver cannot be recognised, and that driver puts its names back.
const BUILT_INS = ['Array', 'JSON', 'Object', 'Promise', 'Proxy', 'Symbol', 'Window'];
const isDrivers = (name) => {
  if (name[0] + name[1] + name[2] + name[3] !== 'cdc_' || name[26] !== '_') return false;
  let builtIn = '';
  for (let i = 27; i < name.length; i += 1) builtIn += name[i];
  for (let i = 0; i < BUILT_INS.length; i += 1) if (BUILT_INS[i] === builtIn) return true;
  return false;
};
const isOwners = (value) => value !== undefined && typeof value?.length !== 'number';
const cleanUp = () => {
  try {
    for (const name in window) if (isDrivers(name)) delete window[name];
    const before = window.ret_nodes;
    if (!isOwners(before)) delete window.ret_nodes;
    window.setTimeout(() => {
      if (isOwners(before)) window.ret_nodes = before;
      else delete window.ret_nodes;
    });
  } catch {}
};
