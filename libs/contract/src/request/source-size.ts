/** What sources say of their size by themselves. */
/** Where the last extent ends: the size of a file of which no other is said. */
export function extentsEnd({ extents }: { extents: readonly { offset: number; size: number }[] }): number {
  let end = 0;
  for (const { offset, size } of extents) end = Math.max(end, offset + size);
  return end;
}

/** Bytes that so much base64 stands for. */
export function inlineBytes(data: string): number {
  const padding = data.endsWith('==') ? 2 : data.endsWith('=') ? 1 : 0;
  return Math.max(0, (data.length / 4) * 3 - padding);
}
