/** What has started this process as one of several. */
export interface Launcher {
  rank: number;
  size: number;
  /** Which MPI it belongs to, where its variables say so. */
  mpi?: "Open MPI" | "MPICH";
  /** What its variables are called. */
  variables: string;
}

/** The variables by which launchers say rank and size: Open MPI's `mpirun`, MPICH's and Intel's `mpiexec` (Hydra) and `srun --mpi=pmi2`, `srun --mpi=pmix`. */
const LAUNCHERS = [
  { rank: "OMPI_COMM_WORLD_RANK", size: "OMPI_COMM_WORLD_SIZE", mpi: "Open MPI" },
  { rank: "PMI_RANK", size: "PMI_SIZE", mpi: "MPICH" },
  { rank: "PMIX_RANK", size: "SLURM_STEP_NUM_TASKS" },
] as const;

/** What has started this process as one of several; undefined where it is alone. */
export function launcher(env: Readonly<Record<string, string | undefined>>): Launcher | undefined {
  for (const one of LAUNCHERS) {
    const [rank, size] = [Number(env[one.rank] ?? NaN), Number(env[one.size] ?? NaN)];
    if (!(size > 1 && rank >= 0)) continue;
    return { rank, size, ...("mpi" in one && { mpi: one.mpi }), variables: `${one.rank}, ${one.size}` };
  }
  return undefined;
}
