/** The dashboard in a real browser, over a real Redis, a real host and a write that really runs. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Store, nativeFile, openStore } from '@penstock/config';
import { WriteQueue } from '@penstock/queue';
import { type Browser, type BrowserContext, type Page, chromium } from 'playwright-core';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
// On the checkout's disk: the temporary directory is often memory, where a write is over at once.
const scratch = at('../../../.cache/scratch/');

interface Program {
  bin: string;
  env?: Record<string, string>;
}

/** The first message of a process of ours. */
interface Started {
  ready?: true;
  url?: string;
  link?: string;
}

/** The browser that set-up found. */
function browserProgram(): Program | null {
  const record = existsSync(nativeFile) ? (JSON.parse(readFileSync(nativeFile, 'utf8')) as { chromium?: Program }) : {};
  return record.chromium ?? null;
}

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const START_MS_MAX = 30_000;

/** Starts a process of ours and resolves with it and with its first message. */
async function start(entry: string, args: string[]): Promise<{ child: ChildProcess; started: Started }> {
  const child = fork(at(entry), args, { silent: true });
  const started = await Promise.race([
    once(child, 'message').then(([message]) => message as Started),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`${entry} ended with ${code} before it was ready`))),
  ]);
  return { child, started };
}

async function stop(child: ChildProcess): Promise<number | null> {
  const exited = once(child, 'exit');
  child.disconnect();
  const [code] = (await exited) as [number | null];
  return code;
}

/** How much is written, by a job's name. */
function kibibytesOf(figures: string): number {
  const [, bytes = '', unit] = /· ([\d.]+) ([KM])iB of/.exec(figures) ?? [];
  return Number(bytes) * (unit === 'M' ? 1024 : 1);
}

const program = browserProgram();

(program === null ? describe.skip : describe)('the dashboard', () => {
  let directory: string;
  let store: Store;
  let queue: WriteQueue;
  let host: ChildProcess;
  let gateway: ChildProcess;
  let url: string;
  let link: string;
  /** What the page asked for, and what its policy kept it from. */
  const asked: string[] = [];
  const kept: string[] = [];
  let browser: Browser | undefined;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    mkdirSync(scratch, { recursive: true });
    directory = mkdtempSync(join(scratch, 'dashboard-'));
    store = await openStore({ kind: 'embedded', directory }, process.env);
    queue = new WriteQueue({ connection: store.connection });
    const [hostStarted, gatewayStarted, opened] = await Promise.all([
      start('../../host/dist/main.js', ['--data', directory, '--threads', '1']),
      start('../dist/main.js', ['--data', directory, '--port', '0']),
      chromium.launch({
        executablePath: program?.bin ?? '',
        args: FLAGS,
        env: { ...(process.env as Record<string, string>), ...program?.env },
      }),
    ]);
    host = hostStarted.child;
    gateway = gatewayStarted.child;
    url = gatewayStarted.started.url ?? '';
    link = gatewayStarted.started.link ?? '';
    browser = opened;
    context = await opened.newContext({ viewport: { width: 1280, height: 900 } });
    page = await context.newPage();
    page.on('request', (request) => asked.push(request.url()));
    await page.exposeFunction('keptFrom', (what: string) => kept.push(what));
    await page.addInitScript({
      content: `addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        keptFrom(violatedDirective + ' ' + blockedURI);
      });`,
    });
  }, START_MS_MAX);

  afterAll(async () => {
    await browser?.close(); // absent if the start failed: that is the error to be reported
    const codes = await Promise.all([stop(host), stop(gateway)]);
    await queue.close();
    await store.close();
    const left = readdirSync(join(directory, 'files'), { recursive: true });
    rmSync(directory, { recursive: true, force: true });
    expect(codes).toEqual([0, 0]);
    // The write was put back: what its next attempt can go on with may lie there, and nothing else.
    expect(left.filter((name) => !String(name).endsWith('.part'))).toEqual(['captures']);
  }, START_MS_MAX);

  test('without a link the page shows how to get one; with it the dashboard opens, in this browser alone', async () => {
    const other = await browser!.newContext();
    const elsewhere = await other.newPage();
    expect((await elsewhere.goto(url))?.status()).toBe(401);
    expect(await elsewhere.locator('body').innerText()).toContain('penstock link');
    await page.goto(link);
    await page.waitForURL(`${url}**`);
    await page.getByText('Penstock').first().waitFor();
    expect((await page.reload())?.status()).toBe(200);
    expect((await elsewhere.goto(link))?.status()).toBe(401);
    await other.close();
  });

  test('the page asks its own gateway alone, and is painted without waiting for anybody else', async () => {
    asked.length = 0;
    await page.goto(`${url}/queue/penstock?status=latest`);
    await page.getByText('Penstock').first().waitFor();
    const { origin } = new URL(url);
    expect(asked.filter((address) => new URL(address).origin !== origin)).toEqual([]);
    const painted = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    expect(painted).toBeLessThan(10_000); // it took 30 s when the request for the web font was dropped
  });

  test('the form for a job works under the page’s policy, which keeps it from nothing that it needs', async () => {
    await page.goto(`${url}/queue/penstock`);
    await page.locator('button[aria-haspopup="menu"]').click();
    await page.getByRole('menuitem', { name: 'Add job' }).click();
    const form = page.getByRole('dialog');
    await form.waitFor();
    await form.getByText('"rowBytes"').waitFor(); // its editor is there, and the schema, asked for meanwhile, in it
    await page.keyboard.press('Escape');
    expect(kept).toEqual([]);
  });

  test('a page of another port of this machine can neither frame it nor ask it anything', async () => {
    const { origin } = new URL(url);
    const stranger = createServer((_request, response) => {
      response
        .setHeader('content-type', 'text/html')
        .end(`<iframe src="${url}"></iframe><img src="${url}/static/favicon.ico">`);
    });
    const strange = await context.newPage();
    await once(stranger.listen(0, '127.0.0.1'), 'listening');
    try {
      const statuses: number[] = [];
      strange.on('response', (response) => {
        if (response.url().startsWith(origin)) statuses.push(response.status());
      });
      const { port } = stranger.address() as AddressInfo;
      await strange.goto(`http://127.0.0.1:${port}/`, { waitUntil: 'load' });
      const outcome = await strange.evaluate(async (address) => {
        const tries = [
          fetch(`${address}/api/queues`, { credentials: 'include' }),
          fetch(`${address}/api/queues`, { credentials: 'include', mode: 'no-cors' }).then(({ type }) => type),
          fetch(`${address}/api/queues/penstock/add`, {
            method: 'POST',
            credentials: 'include',
            mode: 'no-cors',
            body: '{}',
          }).then(({ type }) => type),
        ];
        return (await Promise.allSettled(tries)).map((end) => (end.status === 'fulfilled' ? end.value : 'refused'));
      }, url);
      expect(outcome.filter((end) => end !== 'refused' && end !== 'opaque')).toEqual([]);
      expect(statuses.length).toBeGreaterThan(0);
      expect(statuses.filter((status) => status !== 403)).toEqual([]);
      expect(strange.frames().map((frame) => frame.url())).not.toContain(url);
    } finally {
      await strange.close();
      stranger.closeAllConnections();
      stranger.close();
    }
  });

  test('a running write shows its progress ring, its bytes and its MiB/s, and they move', async () => {
    await page.goto(`${url}/queue/penstock?status=active`);
    // One row of a page at a time: the slowest write there is, to have something to look at.
    await queue.add({ path: 'captures/run-42.dat', size: '2GiB', matrix: { rows: 1, rowBytes: 4096 } });

    const figures = page.getByText(/^captures\/run-42\.dat · [\d.]+ [KM]iB of 2\.00 GiB · [\d.]+ MiB\/s$/);
    await figures.waitFor();
    const ring = page.locator('svg:has(circle[pathLength="100"])').filter({ hasText: /^\d+%$/ });
    await ring.waitFor();
    const before = await figures.innerText();
    // The page asks by itself, once a second.
    await page.getByText(before, { exact: true }).waitFor({ state: 'detached' });
    expect(kibibytesOf(await figures.innerText())).toBeGreaterThan(kibibytesOf(before));

    const undrawn = Number(await ring.locator('circle[pathLength="100"]').getAttribute('stroke-dashoffset'));
    const shown = Number.parseInt((await ring.textContent()) ?? '', 10);
    // They are two looks, and the write goes on between them.
    expect(Math.abs(100 - undrawn - shown)).toBeLessThanOrEqual(5);
    // The tab that is open at first shows the same, and more.
    const details = await page.locator('body').innerText();
    expect(details).toMatch(/written:\s*"[\d.]+ [KM]iB of 2\.00 GiB"/);
    expect(details).toMatch(/speed:\s*"[\d.]+ MiB\/s"/);
    expect(details).toMatch(/phase:\s*"writing"/);
    if (process.env['PENSTOCK_SCREENSHOT']) await page.screenshot({ path: process.env['PENSTOCK_SCREENSHOT'] });
  });
});
