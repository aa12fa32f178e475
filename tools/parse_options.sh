#!/usr/bin/env bash
# Sourced by recipes, Kaldi's way: turns --some-option value into $some_option, for variables set before.
# Unknown options fail; --help prints $help_message. ++key=value goes into the array $hydra_overrides, for scripts that
# have one.

while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help)
      printf '%s\n' "${help_message:-no help}"
      exit 0
      ;;
    --*)
      parsed_name=$(printf '%s' "${1#--}" | tr - _)
      if [[ ! $parsed_name =~ ^[a-z][a-z0-9_]*$ ]] || [ -z "${!parsed_name+set}" ]; then
        echo "$0: unknown option $1; see --help" >&2
        exit 1
      fi
      if [ $# -lt 2 ]; then
        echo "$0: option $1 needs a value; see --help" >&2
        exit 1
      fi
      printf -v "$parsed_name" '%s' "$2"
      shift 2
      ;;
    ++*=*)
      if [[ $(declare -p hydra_overrides 2>/dev/null) != "declare -a"* ]]; then
        echo "$0: unexpected argument $1; see --help" >&2
        exit 1
      fi
      hydra_overrides+=("$1")
      shift
      ;;
    *)
      echo "$0: unexpected argument $1; see --help" >&2
      exit 1
      ;;
  esac
done
unset parsed_name
