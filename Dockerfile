# initpy as one static executable, in an image that has nothing else.
#
#     docker build -t initpy .
#
# Into any image:  COPY --from=initpy /initpy /initpy
# Or as its base:  FROM initpy
#
# BASE is what it is built on: Debian 12, whose libpython3.11-dev has CPython as a static library.
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS build

RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        gcc libc6-dev libpython3.11-dev python3.11-minimal

COPY docker/binary/ /source/docker/binary/
COPY initpy/ /source/initpy/
RUN /source/docker/binary/build /initpy

FROM scratch
COPY --from=build /initpy /initpy
ENTRYPOINT ["/initpy"]
