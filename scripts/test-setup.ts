// Runs before every test file. Vitest itself fails the run for an error or a rejection that no test caught, and
// every wait for the device throws what went wrong on it, so there is nothing to add.
export {};
