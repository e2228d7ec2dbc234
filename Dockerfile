# For a CPU. Building it fetches python:3.11-slim (Docker Hub), g++, git and make (Debian), the
# packages of requirements.lock (PyPI) and, with the build argument TORCH_CPU_INDEX, torch's CPU
# build: about 4 GB, some minutes; without it the CUDA build, several GB more. Running it fetches
# nothing. REPRODUCE.md shows both commands.
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /ieee_lib
COPY . .
ARG TORCH_CPU_INDEX=""
ENV PIP_EXTRA_INDEX_URL=$TORCH_CPU_INDEX PIP_NO_CACHE_DIR=1
RUN make setup
CMD ["make", "figures"]
