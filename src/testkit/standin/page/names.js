const era = plan.generation;
const multiDevice = !["conn_me", "conn_wid", "blank"].includes(era);
const hasRequire = ["comet", "current", "renamed"].includes(era);
// Pages whose getters memoise; "renamed" is the same page with every getter under another name.
const memoises = ["current", "renamed"].includes(era);

const GETTERS = [
  "getMaybeMePnUser", "getMaybeMeLidUser", "getMaybeMeDevicePn", "getMaybeMeDeviceLid", "getMaybeMeUser", "getMeUser",
];
const renamed = new native.Set([...plan.renamed, ...(era === "renamed" ? GETTERS : [])]);
// The name under which the page really has it.
const name = (known) => (renamed.has(known) ? known + "Renamed" : known);
