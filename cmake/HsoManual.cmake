# SPDX-License-Identifier: Apache-2.0
# cmake -DPROGRAM=hso -DFOLDER=DIR -P HsoManual.cmake: manual pages and shell completion, which the program prints from
# its table of options, as DIR/man/man1/*.1, DIR/bash-completion/completions/hso and DIR/zsh/site-functions/_hso.
function(hso_print file)
  execute_process(COMMAND ${PROGRAM} ${ARGN} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  file(WRITE ${FOLDER}/${file} "${text}")
endfunction()

hso_print(man/man1/hso.1 manual)
hso_print(bash-completion/completions/hso completion bash)
hso_print(zsh/site-functions/_hso completion zsh)
file(STRINGS ${FOLDER}/man/man1/hso.1 lines REGEX "^\\.BR hso")
foreach(line ${lines})
  string(REGEX REPLACE "^.*-([a-z]+) .*$" "\\1" command "${line}")
  hso_print(man/man1/hso-${command}.1 manual ${command})
endforeach()
