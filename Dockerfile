# syntax=docker/dockerfile:1
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY . .
# Out of the cache go the binary, the libraries that it is linked to, and the certificates to trust.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked -p dibs \
    && install -D target/dist/dibs /image/usr/bin/dibs \
    && ldd target/dist/dibs | grep -o '/[^ ]*' | xargs -I{} cp --parents --dereference {} /image \
    && cp --parents /etc/ssl/certs/ca-certificates.crt /image \
    && mkdir -p /image/etc/dibs

FROM scratch
COPY --from=build /image /
COPY --from=build --chown=65532:65532 /image/etc/dibs /data
# dibs.toml is read from here.
WORKDIR /etc/dibs
ENV DIBS_LISTEN=0.0.0.0:8080 DIBS_OPS_LISTEN=0.0.0.0:9090 DIBS_DATA=/data
# Only the local engines write, and only there.
VOLUME /data
USER 65532:65532
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["/usr/bin/dibs", "health"]
ENTRYPOINT ["/usr/bin/dibs"]
