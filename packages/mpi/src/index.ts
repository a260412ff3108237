// All public names of the package.
export { joinMpi, type Mpi } from "./mpi-communicator.ts";
export { findLibrary, INSTALL, type Abi, type Library } from "./library.ts";
