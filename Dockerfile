# tailrace-airbyte as an image: docker build -t tailrace/source-postgres:0.1.0 .
# Beyond the base image nothing but the npm registry is asked. `npm run check:image` runs these steps without a container.
FROM node:22-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Without the workspace of the tests, which has five PostgreSQL servers.
RUN npm ci --workspaces=false --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts/build.mjs scripts/
COPY src src
COPY page page
RUN npm run --silent build

FROM node:22-slim
WORKDIR /airbyte
# It is one file, its dependencies included; what says that it is a module must lie above it.
COPY --from=build /build/package.json ./
COPY --from=build /build/dist/cli/airbyte.js bin/
USER node
ENV AIRBYTE_ENTRYPOINT="node /airbyte/bin/airbyte.js"
ENTRYPOINT ["node", "/airbyte/bin/airbyte.js"]
LABEL io.airbyte.name="tailrace/source-postgres"
LABEL io.airbyte.version="0.1.0"
