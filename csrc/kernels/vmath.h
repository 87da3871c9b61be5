/* Vector mathematics: exp, log, tanh, sigmoid, erf. */
