# promolens: `make` lists what there is to do.
#
# Needs Debian 12 (or any system with Python 3.11 or newer and its venv module), make and git.
# Everything else goes into .venv. Paths and patterns may contain spaces and stars:
#     make train export DATA='my photos' ONLY='Packages/*' RECIPE=best OUT='my app/assets'

# Knobs. Plain `=`: only `make X=...` sets them, never a stray variable of the environment.
PYTHON = python3
DATA =
ONLY =
RECIPE = fast
OUT = android_assets
NAME =
EXPORT_FLAGS =
TRAIN_FLAGS =
SERVE_FLAGS =
DEMO_FLAGS =
# Files go to processes of their own, the longest first (tests/conftest.py); each takes up to 1 GB.
# One process more than processors: browsers play in real time, and a processor would wait for them.
TEST_FLAGS = -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
BIN := $(VENV)/bin
JOB_STAMP := $(VENV)/.installed-job
DEV_STAMP := $(VENV)/.installed-dev
BENCH_STAMP := $(VENV)/.installed-bench
CRAWL_STAMP := $(VENV)/.installed-crawl
SERVE_STAMP := $(VENV)/.installed-serve
# npm writes this file last, so it is as new as the packages are.
APP_PACKAGES := app/node_modules/.package-lock.json
ROOTS := runtime training export catalog crawler retrieval server demo cli
DEMO := demo_data

# $(call q,DATA): the value of DATA as one shell word, whatever is in it.
q = '$(subst ','\'',$(value $(1)))'
data = $(if $(value DATA),$(call q,DATA),$(DEMO))
only = $(if $(value ONLY),--only $(call q,ONLY))
# The drawn catalogue is a prerequisite only where the user named no data of their own.
data_files = $(if $(value DATA),,$(DEMO)/photos.csv)
# runs/demo-fast, runs/grocery-Packages-best: what the run was made of, without stars and slashes.
auto_name = $(shell printf '%s' $(if $(value DATA),"$$(basename -- $(call q,DATA))",demo)$(if \
	$(value ONLY),-$(call q,ONLY))-$(call q,RECIPE) | tr -s '/*?"\047\\[:space:]-' '-' | sed 's/^[-.]*//')
run = runs/$(if $(value NAME),$(call q,NAME),'$(auto_name)')

##@ Start here

.PHONY: help
help: ## list the targets (this is what `make` alone does)
	@printf 'make TARGET [DATA=folder] [ONLY=pattern] [RECIPE=card|fast|best] [OUT=folder] [NAME=run]\n'
	@sed -nE -e 's/^##@ (.*)/\n\1/p' -e 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' Makefile \
		| expand -t 16

.PHONY: demo
demo: $(SERVE_STAMP) ## open all of it, for a phone to try: trains, builds the app and crawls only what is not there
	@out=$(call q,OUT); $(demo_bundle); $(demo_app); \
	exec $(BIN)/promolens demo --assets "$$out" $(DEMO_FLAGS)

.PHONY: train
train: $(JOB_STAMP) $(data_files) ## train a recogniser on DATA (default: the demo catalogue) into runs/NAME
	@$(BIN)/promolens train $(data) $(only) --recipe $(call q,RECIPE) --out $(run) \
		--resume $(TRAIN_FLAGS)

.PHONY: export
export: $(JOB_STAMP) ## turn that run into a verified, signed bundle in OUT/bundle
	@run=$(run); out=$(call q,OUT); flags=$(call q,EXPORT_FLAGS); $(export_once)

.PHONY: test
test: $(DEV_STAMP) $(if $(shell command -v npm),$(APP_PACKAGES)) ## run all tests (those on real photos only where PROMOLENS_DATA says where they are)
	@$(BIN)/pytest $(TEST_FLAGS)

##@ Look closer

.PHONY: demo-data
demo-data: $(DEMO)/photos.csv ## draw the demo catalogue: invented products and phone photos of them

.PHONY: doctor
doctor: $(JOB_STAMP) $(data_files) ## examine DATA before training: damage, duplicates, leaks
	@mkdir -p runs
	@$(BIN)/promolens doctor $(data) $(only) --report $(run)-doctor.html

.PHONY: evaluate
evaluate: $(JOB_STAMP) $(data_files) ## measure the bundle in OUT on DATA
	@$(BIN)/promolens evaluate $(call q,OUT)/bundle $(data) --json

.PHONY: ablation
ablation: $(JOB_STAMP) $(data_files) ## compare recipes on DATA by grouped k-fold (hours; goes on where it stopped)
	@$(BIN)/promolens ablation $(data) $(only) --out runs/ablation$(if $(value NAME),-$(call q,NAME))

.PHONY: kfold
kfold: $(JOB_STAMP) $(data_files) ## judge RECIPE on DATA by grouped k-fold, float and int8 (goes on where it stopped)
	@$(BIN)/python benchmarks/kfold.py $(data) $(only) --recipe $(call q,RECIPE) --out $(run)-kfold

.PHONY: embeddings
embeddings: $(JOB_STAMP) $(data_files) ## compare embedding recipes on DATA by folds of classes (hours; goes on where it stopped)
	@$(BIN)/promolens embed compare $(data) $(only) --out runs/embeddings$(if $(value NAME),-$(call q,NAME))

.PHONY: bench
bench: $(BENCH_STAMP) ## time the run of `make train` in several engines, and a whole prediction with the bundle in OUT
	@$(BIN)/python benchmarks/latency.py $(run)
	@$(BIN)/python benchmarks/predict_overhead.py $(call q,OUT)/bundle

##@ Promotions

.PHONY: demo-shops
demo-shops: $(CRAWL_STAMP) ## open stand-in shops on this machine until Ctrl-C; writes demo.toml
	@$(BIN)/promolens demo-shops --config demo.toml

.PHONY: crawl-demo
crawl-demo: $(CRAWL_STAMP) ## crawl those shops into promotions.db (in another shell); writes crawl-report.html
	@status=0; \
	$(BIN)/promolens crawl run --all --config demo.toml --database promotions.db || status=$$?; \
	$(BIN)/promolens crawl status --database promotions.db; \
	$(BIN)/promolens crawl report --config demo.toml --database promotions.db; \
	exit $$status

.PHONY: serve
serve: $(SERVE_STAMP) ## answer over HTTP on port 8000, from promotions.db; SERVE_FLAGS=--demo fills it first
	@$(BIN)/promolens serve $(SERVE_FLAGS)

##@ The camera app

.PHONY: app
app: $(APP_PACKAGES) ## build the camera app into android_assets/www (needs Node 18 or newer, and npm)
	@node app/build.mjs

.PHONY: app-screenshots
app-screenshots: $(DEV_STAMP) $(APP_PACKAGES) ## take the docs' pictures of the app anew (a few minutes; needs Chromium)
	@$(BIN)/python tests/app_screenshots.py docs/pictures

.PHONY: app-packages
app-packages: $(APP_PACKAGES) ## install what building and testing the app needs

##@ Work on promolens itself

.PHONY: install
install: $(DEV_STAMP) ## make .venv with everything, the tools of development included

.PHONY: check
check: $(DEV_STAMP) ## ruff, mypy --strict, pyright and the architecture test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/pytest tests/test_architecture.py

.PHONY: soak
soak: $(DEV_STAMP) ## kill 100 crawls and 200 writers of vectors, crawl every shop in every hostile mode, scan for 15 minutes
	@$(BIN)/python benchmarks/soak.py
	@$(BIN)/python benchmarks/index_soak.py
	@$(BIN)/python benchmarks/app_soak.py $(call q,OUT)/bundle
	@PROMOLENS_ALL_MODES=1 $(BIN)/pytest tests/test_crawler_faults.py

.PHONY: format
format: $(DEV_STAMP) ## let ruff order the imports and lay out the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: clean
clean: ## remove what was built: .venv, runs, demo_data, the bundle, caches
	rm -rf $(VENV) $(DEMO) runs android_assets/bundle android_assets/www build dist *.egg-info
	rm -rf app/node_modules app/.cache app/.test
	rm -rf demo-archive demo.toml
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov
	find $(ROOTS) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- rules behind the targets

define make_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'error: Expected Python 3.11 or newer. Received $(PYTHON). Give one: make PYTHON=python3.12 ...' >&2; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo 'error: Expected the venv module. On Debian: sudo apt-get install python3-venv' >&2; exit 1; }
endef

PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(JOB_STAMP): pyproject.toml
	$(make_venv)
	@echo 'Installing into $(VENV): about 2 GB and a few minutes, once'
	@$(PIP) -e '.[train,export,demo]'
	@touch $@

$(DEV_STAMP): $(JOB_STAMP)
	@$(PIP) -e '.[train,export,catalog,postgres,retrieval,crawl,server,demo,dev]'
	@touch $@

$(APP_PACKAGES): app/package-lock.json
	@command -v npm > /dev/null || { echo 'error: Expected Node and npm. Received none. \
	On Debian: sudo apt-get install nodejs npm' >&2; exit 1; }
	@cd app && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Without the two gigabytes that training needs.
$(CRAWL_STAMP): pyproject.toml
	$(make_venv)
	@[ $(DEV_STAMP) -nt pyproject.toml ] || $(PIP) -e '.[catalog,crawl,demo]'
	@touch $@

# With what --demo needs to crawl the stand-in shops, and `promolens demo` to make a gallery.
$(SERVE_STAMP): pyproject.toml
	$(make_venv)
	@[ $(DEV_STAMP) -nt pyproject.toml ] || { \
		echo 'Installing into $(VENV): some 800 MB and a few minutes, once'; \
		$(PIP) -e '.[catalog,postgres,retrieval,crawl,server,demo]'; }
	@touch $@

$(BENCH_STAMP): $(JOB_STAMP)
	@$(PIP) -e '.[train,export,demo,bench]'
	@touch $@

$(DEMO)/photos.csv: | $(JOB_STAMP)
	@$(BIN)/promolens demo-data $(DEMO)

# A bundle that is there is taken as it is, and never replaced: it may be of somebody's own photos.
define demo_bundle
if [ ! -e "$$out/bundle" ]; then \
	echo 'No recogniser yet: training one on invented products, some 10 minutes'; \
	$(MAKE) --no-print-directory train export; \
elif ! found=$$($(BIN)/promolens bundle verify "$$out/bundle"); then \
	printf '%s\n' "$$found" >&2; \
	echo "error: Expected a good bundle in $$out/bundle. Received the above. Set PROMOLENS_PUBLIC_KEY \
	to the key that signed it, move it away, or choose another folder: make demo OUT=demo_assets" >&2; \
	exit 3; \
fi
endef

# The app is built where it is missing, older than its sources, or trusts another key.
define demo_app
key=$$($(BIN)/promolens bundle verify "$$out/bundle" | grep -o 'ed25519:[A-Za-z0-9+/=]*'); \
stale() { \
	[ ! -s "$$out/www/index.html" ] || ! grep -rqF --include='*.js' "$$key" "$$out/www" \
		|| [ -n "$$(find app runtime/promolens_runtime \
			\( -name node_modules -o -name '.?*' -o -name test -o -name '*.py*' \) -prune \
			-o -type f -newer "$$out/www/index.html" -print | head -n 1)" ]; \
}; \
if stale; then \
	echo 'Building the camera app: some minutes at first'; \
	$(MAKE) --no-print-directory -s app-packages; \
	node app/build.mjs --out "$$out/www" > /dev/null; \
fi
endef

# Export converts five files and measures each, so an export that would change nothing is skipped:
# RUN/export.txt keeps what the last one said, under a line that names what it was made of. It
# counts while the run and the code are older and the bundle in OUT is still that very one.
define export_once
made_of() { \
	echo "$$out $$flags $$(sha256sum < "$$out/bundle/manifest.json")" \
		"$$(printf '%s' "$${PROMOLENS_SIGNING_KEY-}:$${PROMOLENS_GALLERY_PUBLIC_KEY-}" | sha256sum)"; \
}; \
newer() { \
	find "$$run/run.json" "$$run/classes.json" pyproject.toml $(ROOTS) -newer "$$said" \
		-not -path '*/__pycache__*' -type f | head -n 1; \
}; \
said="$$run/export.txt"; \
if [ -s "$$said" ] && [ -s "$$run/report.html" ] && [ -s "$$out/bundle/manifest.json" ] && [ -z "$$(newer)" ] \
	&& [ "$$(head -n 1 "$$said")" = "$$(made_of)" ] \
	&& $(BIN)/promolens bundle verify "$$out" > /dev/null 2>&1; then \
	echo "Nothing changed since the last export of $$run:"; \
	tail -n +2 "$$said"; \
else \
	rm -f "$$said"; \
	if [ -d "$$run" ]; then log="$$run/.export.tmp"; else log=/dev/null; fi; \
	$(BIN)/promolens export "$$run" --out "$$out" $(EXPORT_FLAGS) | tee "$$log"; \
	{ made_of; cat "$$log"; } > "$$said.tmp"; \
	mv "$$said.tmp" "$$said"; rm -f "$$log"; \
fi
endef
