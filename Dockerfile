# For a CPU. Building it fetches python:3.11-slim (Docker Hub), g++, git and make (Debian), the
# packages of requirements.lock (PyPI) and torch's CPU build (PyTorch's index): about 4 GB, some
# minutes. Running it fetches nothing. REPRODUCE.md shows both commands.
FROM docker.io/library/python:3.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /ieee_lib
COPY . .
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu PIP_NO_CACHE_DIR=1
RUN make setup
CMD ["make", "figures"]
