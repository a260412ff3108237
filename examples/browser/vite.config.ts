import { defineConfig } from "vite";
import { wgsl } from "../../scripts/vite-wgsl.ts";

export default defineConfig({ plugins: [wgsl], build: { target: "es2022" } });
