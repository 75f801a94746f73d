# The image of a helper: crossccd, bubblewrap, and the compilers that you name.
#
#     make && docker build --build-arg COMPILERS='gcc-12 g++-12 gcc-aarch64-linux-gnu' -t crossccd .
#     docker run -p 3634:3634 --security-opt seccomp=unconfined crossccd \
#         --grpc 0.0.0.0:3634 --allow 192.0.2.0/24
#
# It works as an ordinary user. bubblewrap makes user namespaces, which Docker's
# default seccomp profile forbids: without the option above the helper says so
# and does not start. Without --allow it serves only its own loopback.
ARG BASE=debian:12-slim
FROM ${BASE}
ARG COMPILERS=""
RUN apt-get update && \
    apt-get install -y --no-install-recommends bubblewrap ${COMPILERS} && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --system --uid 990 --home-dir /var/lib/crossccd --create-home crossccd
# Static, as `make` builds it.
COPY bin/crossccd /usr/local/bin/crossccd
USER crossccd
VOLUME /var/lib/crossccd
EXPOSE 3634
ENTRYPOINT ["/usr/local/bin/crossccd", "serve", "--state", "/var/lib/crossccd"]
