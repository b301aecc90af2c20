# Two images from one source:
#   docker build --target resource -t holdline-resource .    a Concourse resource: /opt/resource/check, in and out
#   docker build --target server -t holdline .               holdline serve
# Debian's slim image, because SQLite's native library needs glibc, which Alpine does not have.
FROM node:22-bookworm-slim AS build
WORKDIR /src
COPY .npmrc package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json LICENSE ./
COPY scripts scripts
COPY src src
RUN node scripts/build.mjs

FROM node:22-bookworm-slim AS packages
WORKDIR /opt/holdline
COPY .npmrc package.json package-lock.json ./
RUN npm ci --omit=dev

FROM node:22-bookworm-slim AS program
ENV NODE_ENV=production
WORKDIR /opt/holdline
COPY package.json LICENSE ./
COPY --from=packages /opt/holdline/node_modules node_modules
COPY --from=build /src/dist dist
RUN ln -s /opt/holdline/dist/main.cjs /usr/local/bin/holdline

# Concourse runs it as root, and calls the three programs by their paths.
FROM program AS resource
WORKDIR /opt/resource
RUN ln -s /opt/holdline/dist/main.cjs check \
  && ln -s /opt/holdline/dist/main.cjs in \
  && ln -s /opt/holdline/dist/main.cjs out

# Everybody who reaches a container's port reaches the server. So it starts only with AUTH_USER and AUTH_PASS, or with an
# access: in a configuration. Give these when you start it; no image contains them.
FROM program AS server
RUN install --directory --owner=node --group=node --mode=0750 /var/lib/holdline
ENV HOLDLINE_STATE_DIR=/var/lib/holdline
WORKDIR /var/lib/holdline
VOLUME /var/lib/holdline
USER node
EXPOSE 3000
ENTRYPOINT ["holdline"]
CMD ["serve", "--listen", "0.0.0.0"]
