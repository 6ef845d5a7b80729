import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// Where a server answers while somebody works on the page: TASKYARD_URL=http://127.0.0.1:7080 npm run dev
const server = process.env["TASKYARD_URL"] ?? "http://127.0.0.1:7080";

// The Host header stays as the browser sent it, because the server compares it with Origin.
const proxy = {
  "/api": { target: server, changeOrigin: false, ws: true },
};

// What a server sends with the page, so that `vite preview` refuses what a server would.
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: false,
    sourcemap: false,
  },
  server: { proxy },
  preview: { proxy, headers: { "Content-Security-Policy": policy } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
