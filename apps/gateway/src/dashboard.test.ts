/** The dashboard in a real browser, over a real Redis, a real host and a write that really runs. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Store, nativeFile, openStore } from '@penstock/config';
import { WriteQueue } from '@penstock/queue';
import { type Browser, type Page, chromium } from 'playwright-core';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
// On the checkout's disk: the temporary directory is often memory, where a write is over at once.
const scratch = at('../../../.cache/scratch/');

interface Program {
  bin: string;
  env?: Record<string, string>;
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

/** Starts a process of ours and resolves with it and with what it said first. */
async function start(
  entry: string,
  args: string[],
): Promise<{ child: ChildProcess; said: { ready?: true; url?: string } }> {
  const child = fork(at(entry), args, { silent: true });
  const said = await Promise.race([
    once(child, 'message').then(([message]) => message as { ready?: true; url?: string }),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`${entry} ended with ${code} before it was ready`))),
  ]);
  return { child, said };
}

async function stop(child: ChildProcess): Promise<number | null> {
  const exited = once(child, 'exit');
  child.disconnect();
  const [code] = (await exited) as [number | null];
  return code;
}

/** What a job's name says is written. */
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
  let browser: Browser | undefined;
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
    url = gatewayStarted.said.url ?? '';
    browser = opened;
    page = await opened.newPage({ viewport: { width: 1280, height: 900 } });
  }, START_MS_MAX);

  afterAll(async () => {
    await browser?.close(); // absent where the start failed: that is the error to be told
    const codes = await Promise.all([stop(host), stop(gateway)]);
    await queue.close();
    await store.close();
    const left = readdirSync(join(directory, 'files'), { recursive: true });
    rmSync(directory, { recursive: true, force: true });
    expect(codes).toEqual([0, 0]);
    // The write was put back: what its next attempt can go on with may lie there, and nothing else.
    expect(left.filter((name) => !String(name).endsWith('.part'))).toEqual(['captures']);
  }, START_MS_MAX);

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
    const told = Number.parseInt((await ring.textContent()) ?? '', 10);
    // They are two looks, and the write goes on between them.
    expect(Math.abs(100 - undrawn - told)).toBeLessThanOrEqual(5);
    // The tab that is open at first tells the same, and what else there is to know.
    const details = await page.locator('body').innerText();
    expect(details).toMatch(/written:\s*"[\d.]+ [KM]iB of 2\.00 GiB"/);
    expect(details).toMatch(/speed:\s*"[\d.]+ MiB\/s"/);
    expect(details).toMatch(/phase:\s*"writing"/);
    if (process.env['PENSTOCK_SCREENSHOT']) await page.screenshot({ path: process.env['PENSTOCK_SCREENSHOT'] });
  });
});
