# One image for both ways to run: by itself, with its data in /data, and on AWS
# Lambda, which takes the entry point and leaves the rest. README.md, Deployment.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG REVISION=
RUN .ci/build /out/healthrecords "$VERSION" "$REVISION" \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
 && install -d -m 1777 /out/tmp \
 && install -d -m 0700 -o 65532 -g 65532 /out/data

FROM scratch
ARG VERSION=dev
ARG REVISION=
LABEL org.opencontainers.image.title="healthrecords" \
      org.opencontainers.image.description="The health-record service that a small medical practice runs itself" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# As one tree: copied by themselves, /tmp and /data would be root's, mode 0755.
COPY --from=build /out/ /
# Without a name, since there is no /etc/passwd; Lambda uses a user of its own.
USER 65532:65532
# Loopback is the container's own here. What lies before it is not known, so
# that it has still to be said: TRUSTED_PROXIES, TLS_CERT or ALLOW_INSECURE_HTTP.
ENV LISTEN=:8000 DATA_DIR=/data
EXPOSE 8000
VOLUME /data
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s CMD ["/healthrecords", "healthcheck"]
ENTRYPOINT ["/healthrecords"]
