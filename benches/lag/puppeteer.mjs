// Plays the owner of a page: Puppeteer drives a Chromium at the URL of the first argument. Prints the debugging
// address; then each line of standard input reloads the page and prints `loaded`. At the end of the input it prints
// how often it got each event, and what a script in the page could notice.
import readline from 'node:readline';
import puppeteer from 'puppeteer-core';

const TRACES = `(() => {
  const socket = window.require('WAWebSocketModel').Socket;
  const own = Object.getOwnPropertyDescriptor(Storage.prototype, 'setItem');
  return [Object.getOwnPropertyNames(window).sort(), Object.getOwnPropertyNames(document), String(own.value),
    Object.values(socket._events ?? {}).flat().length, document.title, document.visibilityState];
})()`;

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});
const events = {};
const record = (name, emitter) => emitter.on('*', (type) => {
  const event = `${name} ${String(type)}`;
  events[event] = (events[event] ?? 0) + 1;
});
record('browser', browser);
const [page] = await browser.pages();
record('page', page);
const session = await page.createCDPSession();
record('session', session);
for (const domain of ['Page', 'Runtime', 'DOM', 'Log', 'Network', 'Inspector']) await session.send(`${domain}.enable`);
const all = await browser.target().createCDPSession();
record('targets', all);
await all.send('Target.setDiscoverTargets', { discover: true });
await page.goto(process.argv[2]);
console.log(new URL(browser.wsEndpoint()).host);
for await (const _ of readline.createInterface({ input: process.stdin })) {
  await page.reload();
  console.log('loaded');
}
const traces = await page.evaluate(TRACES);
console.log(JSON.stringify({ events, traces }));
await browser.close();
