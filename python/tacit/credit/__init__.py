"""Credit: the memories that an answer showed, their use in the episode, and feedback."""
