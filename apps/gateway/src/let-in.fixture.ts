/** A browser as the gateway sees it, down to the headers that no fetch of Node's would send. */
import { type IncomingMessage, request } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

export async function ask(
  url: string,
  headers: Record<string, string> = {},
  { method = 'GET', body = '' }: { method?: string; body?: string } = {},
): Promise<Answer> {
  const sent = request(url, { method, headers, agent: false });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
}

/** Opens a link; resolves with the cookie that it was exchanged for. */
export async function letIn(link: string): Promise<string> {
  const { status, headers, body } = await ask(link);
  if (status !== 200) throw new Error(`the link was refused: ${status} ${body}`);
  return headers['set-cookie']![0]!.split(';')[0]!;
}
