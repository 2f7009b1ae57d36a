# shellcheck shell=bash
# Bash completion for keepframe, keepframe-indexer and keepframe-webui. Commands, options and what they take
# are read from the program's own --help, streams from the daemon or, where none runs, from its configuration.

# Reads --help into the caller's variables: commands (list), takes (option -> FILE, DIR, …), arguments
# (command -> its arguments) and options ("" or a command -> its options).
_keepframe_read_help() {
    local line section='' in_commands=1
    while IFS= read -r line; do
        if [[ $line =~ ^'  '([a-z][a-z-]*)(' '[^ ].*)?('  '|$) && -n $in_commands ]]; then
            section=${BASH_REMATCH[1]}
            commands+=("$section")
            arguments[$section]=${line#"  $section"}
            [[ ${arguments[$section]} == '  '* ]] && arguments[$section]=
            arguments[$section]=${arguments[$section]%%  *}
        elif [[ $line =~ ^('  -'([a-zA-Z])', '|'      ')--([a-z][a-z-]*)(' '([A-Z][A-Z/-]*))? ]]; then
            options[:$section]+=" --${BASH_REMATCH[3]}"
            takes[--${BASH_REMATCH[3]}]=${BASH_REMATCH[5]}
            [[ -z ${BASH_REMATCH[2]} ]] || takes[-${BASH_REMATCH[2]}]=${BASH_REMATCH[5]}
        elif [[ -z $line && ${#commands[@]} -gt 0 ]]; then
            in_commands= section=
        fi
    done < <("$program" --help 2>/dev/null)
}

# Prints CAMERA and CAMERA/STREAM of all streams; the arguments say which daemon is asked.
_keepframe_streams() {
    local line camera=''
    while IFS= read -r line; do
        if [[ $line =~ '"camera": "'([a-z0-9_-]+)'"' ]]; then
            camera=${BASH_REMATCH[1]}
        elif [[ -n $camera && $line =~ '"stream": "'([a-z0-9_-]+)'"' ]]; then
            printf '%s\n' "$camera" "$camera/${BASH_REMATCH[1]}"
            camera=
        elif [[ $line =~ ^'# '([a-z0-9_-]+)/([a-z0-9_-]+) ]]; then
            printf '%s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[1]}/${BASH_REMATCH[2]}"
        fi
    done < <("$program" "$@" status --json 2>/dev/null ||
        "$program" "$@" check-config --print-commands 2>/dev/null)
}

# Completes an argument of that kind, as --help names it.
_keepframe_argument() {
    local kind=${1//[\[\]]/}
    case $kind in
    *CAMERA*) mapfile -t COMPREPLY < <(compgen -W "$(_keepframe_streams "${place[@]}")" -- "$current") ;;
    *DIR*) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    *FILE* | *PATH*) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    [a-z]*) mapfile -t COMPREPLY < <(compgen -W "${kind//|/ }" -- "$current") ;;
    esac
}

_keepframe() {
    local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} command='' option='' word count=0
    local commands=() place=()
    local -A takes=() arguments=() options=()
    COMPREPLY=()
    _keepframe_read_help
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ -n $option ]]; then
            [[ $word == = ]] && continue # bash splits --config=FILE
            case $option in -c | --config | --data | --runtime) place+=("$option" "$word") ;; esac
            option=
        elif [[ -n ${takes[$word]-} ]]; then
            option=$word
        elif [[ $word != -* && -z $command ]]; then
            command=$word
        elif [[ $word != -* || $word == - ]]; then
            count=$((count + 1))
        fi
    done
    if [[ -n $option ]]; then
        [[ $current == = ]] && current=
        _keepframe_argument "${takes[$option]}"
    elif [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${options[:]-} ${command:+${options[:$command]-}}" -- "$current")
    elif [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${commands[*]}" -- "$current")
    else
        local kinds
        read -r -a kinds <<<"${arguments[$command]-}"
        _keepframe_argument "${kinds[count]-}"
    fi
}

complete -o filenames -F _keepframe keepframe keepframe-indexer keepframe-webui
