# The image of a helper: crossccd, bubblewrap, and the compilers that you name. It
# works as an ordinary user, without any right of root's. docs/docker.md says how it
# is built and run, and what each of the flags is for.
ARG BASE=debian:12-slim
FROM ${BASE}
# Debian's packages of compilers: "gcc-12 g++-12 gcc-aarch64-linux-gnu".
ARG COMPILERS=""
# A base that has bubblewrap already, and whatever compilers it has, needs no network.
RUN if [ -n "$COMPILERS" ] || ! command -v bwrap >/dev/null; then \
        apt-get update && \
        apt-get install -y --no-install-recommends bubblewrap $COMPILERS && \
        rm -rf /var/lib/apt/lists/*; \
    fi && \
    mkdir -p /var/lib/crossccd && chown 990:990 /var/lib/crossccd
# Static, as `make` builds it.
COPY bin/crossccd /usr/local/bin/crossccd
USER 990:990
# Results, images and what compilers were found to be: all that outlives a container.
VOLUME /var/lib/crossccd
EXPOSE 3634
ENTRYPOINT ["/usr/local/bin/crossccd", "serve", "--state", "/var/lib/crossccd"]
