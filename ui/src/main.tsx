import "./design/tokens.css";
import "./design/base.css";

import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { whenSignedOut } from "./api/client";
import { queryClient } from "./api/queries";
import { Toasts } from "./design/toast";
import { endLive } from "./live/browser";
import { reloadAfterUpgrade } from "./live/upgrade";
import { router } from "./router";
import { forgetTasks } from "./tasks/live";

reloadAfterUpgrade();

whenSignedOut(() => {
  const { pathname, href } = router.state.location;
  if (pathname === "/login" || pathname === "/setup") return;
  // What is shown stays until the next page is there: an empty cache would ask, and be refused, again.
  endLive();
  forgetTasks();
  void router.navigate({ to: "/login", search: { next: href }, replace: true });
});

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
      <Toasts />
    </QueryClientProvider>
  </StrictMode>,
);
