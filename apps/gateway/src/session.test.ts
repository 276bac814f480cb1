/** Who is let in to the dashboard, over the real server: with a link, once, from its own pages, in no frame. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { dashboardLink, newDashboardKey, openStore, type Store } from '@penstock/config';
import { Gateway } from './gateway.ts';
import { ask, letIn } from './let-in.fixture.ts';
import { withoutForeign } from './page.ts';
import { entry, userIn } from './peer-user.ts';
import { Sessions } from './session.ts';

const directory = mkdtempSync(join(tmpdir(), 'penstock-session-'));
let store: Store;
let gateway: Gateway;
let origin: string;
let cookie: string;

const start = (): Promise<Gateway> =>
  Gateway.start({ connection: store.connection, address: '127.0.0.1', port: 0, onError: () => {} });

beforeAll(async () => {
  store = await openStore({ kind: 'embedded', directory }, process.env);
  gateway = await start();
  ({ origin } = new URL(gateway.url));
  cookie = await letIn(gateway.link());
});

afterAll(async () => {
  await gateway.close();
  await store.close();
  rmSync(directory, { recursive: true, force: true });
});

const job = JSON.stringify({ name: 'write', data: { path: 'a.bin', size: 1 }, options: {} });
const add = (headers: Record<string, string>): ReturnType<typeof ask> =>
  ask(
    `${gateway.url}/api/queues/penstock/add`,
    { 'content-type': 'application/json', ...headers },
    { method: 'POST', body: job },
  );
const shown = `/queues/api/queues?activeQueue=penstock&status=waiting&page=1&jobsPerPage=10`;

test('without having been let in a browser sees and adds nothing', async () => {
  for (const path of [
    '/',
    '/queues',
    '/queues/',
    shown,
    '/queues/static/favicon.ico',
    '/queues/%61pi/queues',
    '/nowhere',
  ]) {
    const { status, headers, body } = await ask(`${origin}${path}`);
    expect([path, status]).toEqual([path, 401]);
    expect(headers['set-cookie']).toBeUndefined();
    expect(JSON.parse(body)).toMatchObject({ hint: expect.stringContaining('penstock link') });
  }
  expect((await add({})).status).toBe(401);
  const { hostname, port } = new URL(origin);
  expect((await add({ cookie: `penstock-${port}=${'A'.repeat(43)}`, host: `${hostname}:${port}` })).status).toBe(401);
  expect(JSON.parse((await ask(`${origin}${shown}`, { cookie })).body)).toMatchObject({ queues: [{ jobs: [] }] });
});

test('a browser without a session gets a page that shows how to get a link', async () => {
  const accept = 'text/html,application/xhtml+xml';
  const { status, body, headers } = await ask(gateway.url, { accept });
  expect(status).toBe(401);
  expect(headers['content-type']).toContain('text/html');
  expect(body).toContain('<code>penstock link</code>');
  const { port } = new URL(origin);
  const again = await ask(gateway.url, { accept, cookie: `penstock-${port}=of-an-earlier-start` });
  expect(again.body).toContain('the dashboard was started again');
});

test('a link lets one browser in, once; its cookie is for that browser and its own pages alone', async () => {
  const link = gateway.link();
  const opened = await ask(link, { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' });
  expect(opened.status).toBe(200);
  const { port } = new URL(origin);
  expect(opened.headers['set-cookie']).toEqual([
    expect.stringMatching(new RegExp(`^penstock-${port}=[\\w-]{43}; HttpOnly; SameSite=Strict; Path=/$`)),
  ]);
  expect(opened.body).toContain('url=/queues');
  const given = opened.headers['set-cookie']![0]!.split(';')[0]!;
  expect((await ask(gateway.url, { cookie: given })).status).toBe(200);
  // Others do not get in with it; who came in with it may load it again.
  expect(await ask(link, { accept: 'text/html' })).toMatchObject({
    status: 401,
    body: expect.stringContaining('was used'),
  });
  expect(await ask(link, { cookie: given })).toMatchObject({ status: 200 });
  expect((await ask(gateway.url, { cookie })).status).toBe(200); // the browser that was there before
});

test('a link that is too old, another gateway’s, or changed by a character opens nothing', async () => {
  const { door } = gateway;
  const later = gateway.link().replace(/token=\d+/, `token=${Math.floor(Date.now() / 1000) + 9999}`);
  for (const [link, why] of [
    [dashboardLink(door, Date.now() - 600_001), 'older than 10 minutes'],
    [dashboardLink({ ...door, key: newDashboardKey() }), 'no link of this dashboard'],
    [`${origin}/open`, 'no link of this dashboard'],
    [`${origin}/open?token=a&token=b`, 'no link of this dashboard'],
    [later, 'no link of this dashboard'],
  ] as const) {
    const { status, body, headers } = await ask(link);
    expect([link, status]).toEqual([link, 401]);
    expect(body).toContain(why);
    expect(headers['set-cookie']).toBeUndefined();
  }
  expect((await ask(gateway.link(), {}, { method: 'HEAD' })).status).toBe(401);
});

test('no other spelling of a used link opens anything', async () => {
  const link = gateway.link();
  await letIn(link);
  const spellings = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=').flatMap((last) => [
    link.replace(/.$/, last),
    link + last,
    link.replace('token=', `token=${last}`),
  ]);
  const answers = await Promise.all(spellings.map((spelling) => ask(spelling)));
  expect(answers.filter(({ status }) => status !== 401)).toEqual([]);
});

test('a gateway that is started again lets no browser in that was let in before', async () => {
  const other = await start();
  try {
    const { port } = new URL(other.url);
    const value = cookie.slice(cookie.indexOf('=') + 1);
    expect((await ask(other.url, { cookie: `penstock-${port}=${value}` })).status).toBe(401);
  } finally {
    await other.close();
  }
});

test.each([
  ['another port of this machine', { origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' }],
  ['another name of this machine', { origin: 'http://localhost:PORT', 'sec-fetch-site': 'cross-site' }],
  ['the web', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
  ['a sandboxed frame', { origin: 'null' }],
  ['a link or an image of another port, without an Origin', { 'sec-fetch-site': 'same-site' }],
  ['the web, without an Origin', { 'sec-fetch-site': 'cross-site' }],
  ['a foreign name made to point here', { host: 'evil.example:PORT' }],
  [
    'a foreign name and its own page',
    { host: 'evil.example:PORT', origin: 'http://evil.example:PORT', 'sec-fetch-site': 'same-origin' },
  ],
])('a page of %s neither reads nor adds, though the browser sends the cookie', async (_who, headers) => {
  const { port } = new URL(origin);
  const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.replace('PORT', port)]));
  for (const answer of await Promise.all([
    add({ cookie, ...sent }),
    ask(`${origin}${shown}`, { cookie, ...sent }),
    ask(gateway.url, { cookie, ...sent }),
    ask(gateway.link(), sent),
  ])) {
    expect(answer.status).toBe(403);
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    expect(answer.headers['set-cookie']).toBeUndefined();
  }
  expect((await add({ cookie, origin, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
});

test('a link of any page leads to the dashboard, in a page of its own and in no frame', async () => {
  const led = { cookie, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate' };
  expect((await ask(gateway.url, { ...led, 'sec-fetch-dest': 'document' })).status).toBe(200);
  expect((await ask(gateway.url, { ...led, 'sec-fetch-dest': 'iframe' })).status).toBe(403);
  expect((await add({ ...led, 'sec-fetch-dest': 'document' })).status).toBe(403);
});

test('every answer forbids frames, scripts of others and whatever would be fetched from elsewhere', async () => {
  for (const [path, headers] of [
    ['/queues', { cookie }],
    [shown, { cookie }],
    ['/queues/static/favicon.ico', { cookie }],
    ['/queues', {}],
    ['/healthz', {}],
    ['/queues', { host: 'evil.example' }],
    ['/nowhere', { cookie }],
  ] as [string, Record<string, string>][]) {
    const answer = await ask(`${origin}${path}`, headers);
    const policy = answer.headers['content-security-policy'];
    expect(policy).toMatch(/^default-src 'self';.* frame-ancestors 'none'$/);
    expect(policy).not.toMatch(/script-src|unsafe-eval|https?:|\*/);
    expect(answer.headers).toMatchObject({ 'x-frame-options': 'DENY', 'x-content-type-options': 'nosniff' });
  }
});

test('a probe learns whether it works, and nothing of what it does', async () => {
  expect(JSON.parse((await ask(`${origin}/healthz`)).body)).toEqual({ status: 'ok' });
});

test('the page as it is served names no other origin, and lost nothing but the font', async () => {
  const views = join(dirname(createRequire(import.meta.url).resolve('@bull-board/ui/package.json')), 'dist/index.ejs');
  const page = readFileSync(views, 'utf8');
  const links = (html: string): string[] => html.match(/<link\b[^>]*>/g) ?? [];
  const foreign = links(page).filter((link) => /\/\//.test(link));
  expect(foreign).toEqual([expect.stringContaining('https://fonts.googleapis.com/')]);
  expect(links(withoutForeign(page))).toEqual(links(page).filter((link) => !foreign.includes(link)));
  const { body } = await ask(gateway.url, { cookie });
  expect(body).toContain('static/css/main');
  expect(body).not.toMatch(/(?:href|src)=["']?(?:https?:)?\/\//);
});

const isRoot = process.getuid?.() === 0;

(isRoot ? test : test.skip)('a cookie that another user of this machine got hold of does not let him in', async () => {
  const program = `fetch(process.argv[1], { headers: { cookie: process.argv[2] } }).then(({ status }) => console.log(status))`;
  const run = promisify(execFile);
  const asUser = async (uid: number): Promise<string> =>
    (await run(process.execPath, ['-e', program, gateway.url, cookie], { uid, gid: uid })).stdout.trim();
  expect(await asUser(65_534)).toBe('401');
  expect(await asUser(0)).toBe('200');
});

test('a connection that was closed at once is no user’s, though the kernel shows it as root’s', () => {
  const pair = `${entry('127.0.0.1', 51_000)} ${entry('127.0.0.1', 4460)}`;
  const row = (state: string, user: number): string =>
    `   7: ${pair} ${state} 00000000:00000000 00:00000000 00000000 ${String(user).padStart(5)}        0 4242 1 0000000000000000\n`;
  expect(userIn(row('01', 1000), [pair])).toBe(1000);
  for (const state of ['04', '05', '06', '08']) expect(userIn(row(state, 0), [pair])).toBeNull();
  expect(userIn(row('01', 1000), [`${entry('127.0.0.1', 4460)} ${entry('127.0.0.1', 51_000)}`])).toBeNull();
});

test('addresses are spelled as the kernel spells them', () => {
  expect(entry('127.0.0.1', 4460)).toBe('0100007F:116C');
  expect(entry('::1', 80)).toBe('00000000000000000000000001000000:0050');
  expect(entry('::ffff:127.0.0.1', 80)).toBe('0000000000000000FFFF00000100007F:0050');
});

test('a session ends when it was not used for a day; of very many the longest unused goes first', async () => {
  const key = newDashboardKey();
  let now = Date.now();
  const sessions = new Sessions(key, () => now);
  const token = (): string =>
    new URL(dashboardLink({ origin: 'http://127.0.0.1', key }, now)).searchParams.get('token')!;
  const whose = (user: number) => async () => user;
  const enter = async (): Promise<string> => ((await sessions.exchange(token(), whose(0))) as { value: string }).value;
  const first = await enter();
  now += 86_400_000;
  expect(await sessions.holds(first, whose(0))).toBe(true);
  now += 86_400_001;
  expect(await sessions.holds(first, whose(0))).toBe(false);
  const many = await Promise.all(Array.from({ length: 101 }, enter));
  const held = await Promise.all([0, 1, 100].map((index) => sessions.holds(many[index]!, whose(0))));
  expect(held).toEqual([false, true, true]);
  expect(await sessions.holds(many[1]!, whose(1))).toBe(false);
});
