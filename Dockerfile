# docker build --tag coord-server .
# docker run --publish 8080:8080 --volume /var/www/site:/site:ro --volume dcdn:/var/lib/dcdn \
#   coord-server --root /site

FROM rust:1.95-slim-bookworm AS build
WORKDIR /dcdn
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cargo xtask build

FROM debian:bookworm-slim
# With which an https:// origin is checked.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/dcdn --create-home dcdn
COPY --from=build /dcdn/target/release/coord-server /usr/local/bin/coord-server
USER dcdn
WORKDIR /var/lib/dcdn
# Manifests are kept here, and a dcdn.toml is read from here.
VOLUME /var/lib/dcdn
ENV STATE_DIRECTORY=/var/lib/dcdn DCDN_LISTEN=0.0.0.0:8080
EXPOSE 8080
# The image has no HTTP client; bash speaks enough of it. Without --tls-cert.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3 && grep --quiet '200 OK' <&3"]
ENTRYPOINT ["coord-server"]
