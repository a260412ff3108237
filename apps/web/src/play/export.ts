import { zip, type AsyncZippable } from "fflate";

/** The files of a model as one .zip, without compression: weights have nothing to compress. */
export async function zipped(files: Record<string, Blob>): Promise<Blob> {
  const contents: AsyncZippable = {};
  for (const [name, blob] of Object.entries(files)) contents[name] = new Uint8Array(await blob.arrayBuffer());
  return new Promise((resolve, reject) =>
    zip(contents, { level: 0 }, (error, data) =>
      error ? reject(error) : resolve(new Blob([data], { type: "application/zip" })),
    ),
  );
}

/** Offers a file to be saved. */
export function download(blob: Blob, name: string): void {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Writes files into a directory that the user has picked. */
export async function writeInto(folder: FileSystemDirectoryHandle, files: Record<string, Blob>): Promise<void> {
  for (const [name, blob] of Object.entries(files)) {
    const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
    await stream.write(blob);
    await stream.close();
  }
}
